"""Arrays as tensors: the same whether they are held in memory or mapped, and files stay as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from stpcodec.model.motion_tables import initial_tables
from stpcodec.training.dataset import MixedLengths, PictureDataset
from stpcodec.training.motion_cache import ensure_motion
from stpcodec.training.store import ArrayStore
from tests.training.material import cached_clip

CPU = torch.device("cpu")


def arrays(folder: Path) -> list[Path]:
    paths = [folder / f"{number}.npy" for number in range(3)]
    for number, path in enumerate(paths):
        np.save(path, np.full(1000, number, np.uint8))
    return paths


def test_what_fits_is_held_and_the_rest_is_mapped(tmp_path: Path) -> None:
    """A mapped array shows what is written to its file; one in memory does not."""
    paths = arrays(tmp_path)
    store = ArrayStore(CPU, room=2500)
    found = [store(path) for path in paths]
    assert store.resident_bytes == 2000
    for path in paths:
        with path.open("r+b") as file:
            file.seek(-1000, 2)
            file.write(b"\7" * 1000)
    assert [int(array[0]) for array in found] == [0, 1, 7]
    assert store(paths[0]) is found[0], "and read once"


def test_on_the_cpu_nothing_is_copied(tmp_path: Path) -> None:
    store = ArrayStore(CPU)
    for path in arrays(tmp_path):
        store(path)
    assert store.resident_bytes == 0


def test_files_are_not_written_to(tmp_path: Path) -> None:
    path = arrays(tmp_path)[1]
    before = path.read_bytes()
    ArrayStore(CPU)(path).fill_(9)
    assert path.read_bytes() == before


def test_datasets_draw_the_same_from_memory_and_from_files(tmp_path: Path) -> None:
    clips = [cached_clip(tmp_path, height=96, width=128, seed=seed) for seed in (0, 1)]
    for clip in clips:
        ensure_motion(clip, 1, initial_tables())
    drawn = []
    for store in (None, ArrayStore(CPU, room=1 << 30)):
        data = MixedLengths(clips, frames=2, crop=64, chunks=2, seed=3, store=store)
        pictures = PictureDataset(clips, crop=64, seed=4, store=store)
        sequences = [data.sequences(3, 1, CPU) for _ in range(4)]
        planes = [sequence.frames for sequence in sequences] + [pictures.pictures(6, CPU)]
        parts = [part for found in planes for part in (found.y, found.u, found.v)]
        drawn.append(parts + [sequence.fields for sequence in sequences])
        assert store is None or store.resident_bytes >= sum(clip.stat().st_size - 128 for clip in clips)
    assert len(drawn[0]) == 5 * 3 + 4
    assert all(torch.equal(one, other) for one, other in zip(*drawn, strict=True))
