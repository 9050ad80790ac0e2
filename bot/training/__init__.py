"""The code that made the models that ship."""
