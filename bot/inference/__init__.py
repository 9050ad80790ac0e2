"""Adapters around torch, diffusers and Pillow; torch is imported inside functions only."""
