"""What a benchmark needs of torch: diffusers' own pipeline on the bot's weights, clocks, and counts of FLOPs."""
