"""A server's settings, as its moderators decide them."""
