"""`bench`: diffusers' own pipeline and the step engine beside each other, on the same weights, in the same process."""
