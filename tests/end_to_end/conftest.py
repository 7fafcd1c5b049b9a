"""The command line's fixtures, here too."""

from tests.cli.conftest import clip, run, stp

__all__ = ["clip", "run", "stp"]
