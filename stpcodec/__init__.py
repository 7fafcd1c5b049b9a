"""stpcodec: a learned video codec on spacetime patches.

    import stpcodec

    stpcodec.encode("in.mp4", "out.stp", quality=50)
    stpcodec.decode("out.stp", "out.mp4")
    with stpcodec.open("out.stp") as video:
        frame = video.frame_at_time(1.5)   # y, u, v as numpy arrays

Importing it is cheap: torch is loaded by the first call that needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stpcodec.codec.decoder import decode
    from stpcodec.codec.encoder import encode
    from stpcodec.codec.repair import repair
    from stpcodec.codec.splice import concat, cut
    from stpcodec.codec.stpfile import StpFile, open
    from stpcodec.codec.verify import verify

__version__ = "0.1.0"
__all__ = ["StpFile", "__version__", "concat", "cut", "decode", "encode", "open", "repair", "verify"]

_HOMES = {
    "concat": "stpcodec.codec.splice",
    "cut": "stpcodec.codec.splice",
    "decode": "stpcodec.codec.decoder",
    "encode": "stpcodec.codec.encoder",
    "open": "stpcodec.codec.stpfile",
    "repair": "stpcodec.codec.repair",
    "StpFile": "stpcodec.codec.stpfile",
    "verify": "stpcodec.codec.verify",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'stpcodec' has no attribute '{name}'")
    import importlib

    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
