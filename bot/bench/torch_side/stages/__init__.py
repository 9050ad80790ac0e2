"""What the stages of a bench measure with torch: each is a generator of plain values, a dictionary a measurement."""
