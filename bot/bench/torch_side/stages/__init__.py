"""The stages of a bench that measure with torch: each is a generator of plain values, a dictionary a measurement."""
