"""Training of a LoRA on an operator's own pictures."""
