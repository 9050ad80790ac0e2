"""Adapters around discord.py."""
