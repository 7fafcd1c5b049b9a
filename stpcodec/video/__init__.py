"""Video in and out: any file PyAV opens becomes 4:2:0 planes with exact times, and planes become files again.

``VideoReader`` and ``VideoWriter`` are the two ends, ``extract_sidecar`` keeps what is not video.
The names are loaded on first use, so that importing the room costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stpcodec.video.frames import Frame, VideoInfo
    from stpcodec.video.reader import VideoReader
    from stpcodec.video.sidecar import extract_sidecar
    from stpcodec.video.writer import VideoWriter

__all__ = ["Frame", "VideoInfo", "VideoReader", "VideoWriter", "extract_sidecar"]

_HOME = {
    "Frame": "frames",
    "VideoInfo": "frames",
    "VideoReader": "reader",
    "VideoWriter": "writer",
    "extract_sidecar": "sidecar",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
