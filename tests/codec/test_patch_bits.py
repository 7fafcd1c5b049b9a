"""Bits by patch: they add up to what was coded, and lie where the work was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stpcodec.codec import encoder
from stpcodec.codec.interest import Interest
from stpcodec.codec.models import codec_of_file
from stpcodec.codec.patch_bits import PictureBits, chunk_bits
from stpcodec.codec.qualities import Qualities
from stpcodec.codec.segments import SegmentCodec
from stpcodec.container import StpReader
from tests.codec.clips import Triple, pictures, write_video

ROUNDING_BITS = 100
"""The coder's last words, their number, and the two bytes that stand for a picture before them."""


def bits_of(path: Path, model: str) -> list[tuple[int, PictureBits]]:
    """(first frame in the file, bits) of every picture."""
    found = []
    with StpReader(path) as stream:
        loaded = codec_of_file(stream.header, model=model)
        codec = SegmentCodec(stream.header, loaded.codec, loaded.device)
        for number in range(len(stream.segments)):
            segment = stream.read_segment(number)
            previous, first = None, segment.first_frame
            for chunk, latents in zip(segment.chunks, codec.latents(segment), strict=True):
                found += [(first, bits) for bits in chunk_bits(codec.tiled, chunk.streams, latents, previous)]
                previous, first = latents, first + chunk.frame_count
    return found


def lively(count: int, *, height: int, width: int) -> list[Triple]:
    """Noise in the left half that is new in every frame; the right half lies still."""
    random = np.random.default_rng(5)
    still = pictures(1, height=height, width=width)[0]
    found = []
    for _ in range(count):
        y, u, v = (plane.copy() for plane in still)
        y[:, : width // 2] = random.integers(0, 255, (height, width // 2))
        found.append((y, u, v))
    return found


@pytest.mark.parametrize("which", ["dct", "tiny"])
@pytest.mark.parametrize("tile", [0, 128])
@pytest.mark.parametrize("tune", ["psnr", "ssim"])
def test_patches_share_what_was_coded(tmp_path: Path, tiny_weights: Path, which: str, tile: int, tune: str) -> None:
    model = which if which == "dct" else str(tiny_weights)
    clip = write_video(tmp_path / "clip.mkv", pictures(10, height=144, width=208))
    quality = Qualities(60, interest=Interest(tune=tune))
    encoder.encode(clip, tmp_path / "clip.stp", model=model, quality=quality, segment_frames=6, tile=tile)
    found = bits_of(tmp_path / "clip.stp", model)
    assert sum(bits.frame_count for _, bits in found) == 10
    streams = 6 if tile else 1  # two rows of three tiles
    for _, bits in found:
        assert bits.patches.shape == (9, 13)
        assert bits.patches.min() >= 0
        assert bits.patches.sum() == pytest.approx(bits.coded, rel=2e-4, abs=streams * ROUNDING_BITS)
    assert sum(bits.coded for _, bits in found) < 8 * (tmp_path / "clip.stp").stat().st_size


def test_bits_lie_where_there_is_something_to_code(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mkv", lively(5, height=96, width=192))
    encoder.encode(clip, tmp_path / "clip.stp", model="stp-s", quality=50)
    for first, bits in bits_of(tmp_path / "clip.stp", "stp-s"):
        if first:
            left, right = np.hsplit(bits.patches, 2)
            assert left.sum() > 5 * right.sum(), first
