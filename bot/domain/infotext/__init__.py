"""The text in a picture that says how it was made: read, imported and written."""
