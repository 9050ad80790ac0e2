"""`bench`: compares diffusers' own pipeline with the step engine, on the same weights, in the same process."""
