"""LoRAs: read from their files and merged into a loaded model."""
