"""Measures how long steps take on this machine, once, and keeps it."""
