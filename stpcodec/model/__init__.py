"""Transforms, integer prior and motion: what a model is, without any bytes."""
