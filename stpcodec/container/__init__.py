"""The .stp file:

FORMAT.md is its specification, `StpWriter` and `StpReader` write and read it. No torch here.
"""

from stpcodec.container.finding import Finding
from stpcodec.container.header import StreamHeader
from stpcodec.container.index import SegmentEntry
from stpcodec.container.reader import StpReader
from stpcodec.container.segment import Chunk, Segment
from stpcodec.container.writer import StpWriter

__all__ = ["Chunk", "Finding", "Segment", "SegmentEntry", "StpReader", "StpWriter", "StreamHeader"]
