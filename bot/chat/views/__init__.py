"""Renders private messages and forms."""
