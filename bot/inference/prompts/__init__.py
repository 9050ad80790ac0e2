"""Prompts as embeddings."""
