"""Judges the contents of weight files by their headers. Nothing here imports torch."""
