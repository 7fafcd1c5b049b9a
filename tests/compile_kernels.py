"""Compiles the larger kernels before the tests run: `python -m tests.compile_kernels`, as `make test` does.

On a fresh machine that takes a minute or several, which the first test to need them would be timed for; and each of
pytest's processes would do all of it. Here one process compiles the polish of motion fields, half of all, while another
compiles the rest.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch

from stpcodec.codec.chunk import ChunkCodec
from stpcodec.model.motion_polish import MOST_PATIENCE
from stpcodec.model.motion_search import REFINEMENTS
from stpcodec.model.motion_tables import initial_tables
from stpcodec.model.picture_motion import MOTION_CAUTION, anchor_motion
from stpcodec.model.zoo import load_model
from tests.golden.clips import worst_psnr_db
from tests.golden.learned import golden_files
from tests.tiny_model import moving_planes


def motion() -> None:
    one, other = (moving_planes(1, 64, 96, dx=dx) for dx in (0, 3))
    anchor_motion(
        one, other, initial_tables(), 1e-4, before=None, hint=None, caution=MOTION_CAUTION, refinements=REFINEMENTS,
        patience=MOST_PATIENCE,
    )  # fmt: skip


def intra_and_decoding() -> None:
    ChunkCodec(load_model(device=torch.device("cpu"))).encode(moving_planes(1, 64, 96), quality=50, history=None)
    for golden in golden_files():
        if golden.installed:
            worst_psnr_db(golden.clip, golden.path)


PARTS: tuple[Callable[[], None], ...] = (motion, intra_and_decoding)


def main() -> int:
    with ProcessPoolExecutor(len(PARTS), get_context("spawn")) as pool:
        for part in [pool.submit(part) for part in PARTS]:
            part.result()
    return 0


if __name__ == "__main__":
    sys.exit(main())
