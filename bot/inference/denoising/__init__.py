"""One call of the UNet: the pictures in it, their noise, and its replay as a CUDA graph."""
