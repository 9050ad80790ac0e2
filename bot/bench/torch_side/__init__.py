"""The torch side of a benchmark: diffusers' own pipeline on the bot's weights, clocks, and counts of FLOPs."""
