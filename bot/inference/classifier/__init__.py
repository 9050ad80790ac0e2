"""The classifier that rates finished pictures."""
