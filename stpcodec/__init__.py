"""stpcodec: a learned video codec on spacetime patches."""

__version__ = "0.1.0"
