"""Loads a model onto its device, from a profile's files."""
