"""A job's card."""
