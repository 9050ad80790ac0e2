"""Private messages and forms."""
