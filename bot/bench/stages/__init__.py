"""`bench --stages`: measures, in one run, what matters most for the engine on a card, the most important first."""
