"""`bench --stages`: one run that tells what decides about the engine on a card, the weightiest first."""
