"""How the small model that ships was made. A running bot never imports it."""
