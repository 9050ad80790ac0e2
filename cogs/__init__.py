"""Cogs, one file a feature: parse the interaction, call one service, render. Loaded by name (bot.chat.extensions)."""
