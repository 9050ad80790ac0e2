"""SDXL models with random weights, built without a network."""
