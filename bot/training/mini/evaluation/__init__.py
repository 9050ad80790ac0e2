"""How well the small model follows its prompts."""
