"""The samplers' arithmetic, one step of many pictures at once."""
