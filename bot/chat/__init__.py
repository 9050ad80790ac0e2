"""Adapters that implement ports with discord.py."""
