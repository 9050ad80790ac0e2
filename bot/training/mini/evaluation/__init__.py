"""Measures how well the small model follows its prompts."""
