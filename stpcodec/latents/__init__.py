"""Integers between the model and the entropy coder: quantised latents and motion fields."""
