"""Spacetime patches: shots, segments, chunks, packing, padding and tiles."""
