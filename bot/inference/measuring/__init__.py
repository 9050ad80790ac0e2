"""How long steps take on this machine, measured once and kept."""
