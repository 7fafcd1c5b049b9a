"""The conductors: encoder, decoder, verification and the Python view of a .stp file."""
