"""Frozen values and pure rules; the standard library only."""
