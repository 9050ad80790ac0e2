"""Picture files: decoded, encoded, and the text inside them."""
