"""Renders and parses a job's card."""
