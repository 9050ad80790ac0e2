"""Builds and reads the settings panel."""
