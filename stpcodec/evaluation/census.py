"""What an encoder really sends: every symbol of coded clips, counted by the row of the table that priced it.

Training's loop sees crops, estimated bits and motion that was searched once; the encoder chooses anew. Tables counted
here are those of the symbols that files hold.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stpcodec.codec.chunk import ChunkCodec
from stpcodec.codec.patch_bits import chunk_bits
from stpcodec.entropy.tables import TableSet
from stpcodec.evaluation.predictions import coded_segment
from stpcodec.model.transform import Model
from stpcodec.video.frames import Frame


class Census:
    """counts: int64, as the tables of a weights file are named and shaped; what was seen so far."""

    def __init__(self, model: Model) -> None:
        self._model, self._codec = model, ChunkCodec(model)
        tables = {
            "tables.intra.y": model.intra.y_tables, "tables.intra.z": model.intra.z_tables,
            "tables.inter.y": model.inter.y_tables, "tables.inter.z": model.inter.z_tables,
            "tables.motion": self._codec.tables.motion, "tables.blend": self._codec.tables.blend,
        }  # fmt: skip
        self.counts = {name: np.zeros(table.counts.shape, np.int64) for name, table in tables.items()}
        # A set of tables is known by being that very object: two of them may hold the same numbers.
        self._names = {id(table): name for name, table in tables.items()}

    def add(self, frames: Sequence[Frame], quality: int) -> None:
        """Codes 8-bit frames of one size as a segment, and counts."""
        owner, segment = coded_segment(self._codec, frames, quality)
        previous = None
        for chunk, latents in zip(segment.chunks, owner.latents(segment), strict=True):
            chunk_bits(owner.tiled, chunk.streams, latents, previous, self._count)
            previous = latents

    def _count(self, symbols: np.ndarray, tables: TableSet, rows: np.ndarray) -> np.ndarray:
        name = self._names.get(id(tables))
        if name is not None:  # regions have fixed tables
            columns = np.where(np.abs(symbols) <= tables.largest, symbols + tables.largest, tables.escape)
            np.add.at(self.counts[name], (rows.reshape(-1), columns.reshape(-1)), 1)
        return np.zeros(symbols.shape)
