"""Use cases; they know the domain and the ports, and no framework."""
