"""Pastel: a self-hosted Discord bot that draws anime."""

__version__ = "0.1.0"
