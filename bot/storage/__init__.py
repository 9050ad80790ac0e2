"""Implements the storage ports of `bot.ports` with SQLite and files."""
