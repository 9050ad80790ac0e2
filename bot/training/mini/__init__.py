"""The code that made the small model that ships. A running bot never imports it."""
