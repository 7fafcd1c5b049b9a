"""stpcodec/video/pixels.py: conversions give the same planes whatever was in memory before."""

from __future__ import annotations

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stpcodec.errors import InputError
from stpcodec.video.pixels import PlaneReader, picture_from_planes, plan_conversion, view_plane
from tests.video import media

FORMATS = (
    "nv12", "nv21", "p010le", "yuv420p10be", "yuv420p9le", "yuv422p", "nv16", "yuyv422", "uyvy422", "yvyu422",
    "yuv444p", "nv24", "nv42", "yuv440p", "yuv411p", "yuv410p", "yuva420p", "yuv420p12le", "yuv444p16le",
    "rgb24", "bgra", "gbrp", "gbrp10le", "rgb48le", "rgb565le", "gray", "gray16le", "ya8", "monow",
)  # fmt: skip


def noise(width: int, height: int, pixel_format: str, seed: int) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, pixel_format)
    generator = np.random.default_rng(seed)
    for plane in frame.planes:
        samples = np.frombuffer(memoryview(plane), np.uint8)
        samples[:] = generator.integers(0, 256, len(samples))
    return frame


def dirty_memory(width: int, height: int, value: int) -> None:
    """Frames that are freed at once, so that the next ones are likely to get their memory."""
    for pixel_format in ("yuv420p", "yuv420p10le"):
        for plane in [p for _ in range(4) for p in av.VideoFrame(width, height, pixel_format).planes]:
            np.frombuffer(memoryview(plane), np.uint8)[:] = value


@pytest.mark.parametrize("pixel_format", FORMATS)
@given(width=st.integers(1, 40), height=st.integers(1, 20), seed=st.integers(0, 9))
def test_every_sample_is_written_for_every_size(pixel_format: str, width: int, height: int, seed: int) -> None:
    """swscale 9 leaves chroma rows unwritten on some direct ways when a side is odd."""
    frame = noise(width, height, pixel_format, seed)
    depth = plan_conversion(frame).bit_depth
    results = []
    for value in (0, 255):
        dirty_memory(width, height, value)
        results.append(PlaneReader(frame).planes(frame))
    shapes = [(height, width), *2 * [((height + 1) // 2, (width + 1) // 2)]]
    for once, again, shape in zip(*results, shapes, strict=True):
        np.testing.assert_array_equal(once, again)
        assert once.shape == shape
        assert once.dtype == (np.uint8 if depth == 8 else np.uint16)
        assert int(once.max()) < 2**depth


@pytest.mark.parametrize("pixel_format", ["nv12", "nv21", "p010le", "yuv420p10be"])
def test_other_layouts_of_420_lose_nothing(pixel_format: str) -> None:
    depth = 8 if pixel_format.startswith("nv") else 10
    frame = picture_from_planes(*media.pattern(3, 34, 18, depth), "yuv420p" if depth == 8 else "yuv420p10le")
    repacked = frame.reformat(format=pixel_format)
    reader = PlaneReader(repacked)
    assert reader.first.lost == ""
    for found, expected in zip(reader.planes(repacked), media.pattern(3, 34, 18, depth), strict=True):
        np.testing.assert_array_equal(found, expected)


@given(width=st.integers(1, 40), height=st.integers(1, 20), depth=st.sampled_from([8, 10]))
def test_pictures_for_the_encoder(width: int, height: int, depth: int) -> None:
    y, u, v = media.pattern(1, width, height, depth)
    ten = "10le" if depth == 10 else ""
    for name, step in ((f"yuv420p{ten}", 1), (f"yuv444p{ten}", 2)):
        picture = picture_from_planes(y, u, v, name)
        found = [view_plane(plane, y.dtype) for plane in picture.planes]
        np.testing.assert_array_equal(found[0], y)
        np.testing.assert_array_equal(found[1][::step, ::step], u)
        np.testing.assert_array_equal(found[2][::step, ::step], v)


def test_a_later_picture_of_another_format_keeps_the_depth_of_the_first() -> None:
    reader = PlaneReader(media.picture(0, 32, 16, "yuv420p10le"))
    y, u, _ = reader.planes(media.picture(0, 32, 16, "yuv420p"))
    assert y.dtype == u.dtype == np.uint16
    np.testing.assert_allclose(y / 4, media.pattern(0, 32, 16)[0], atol=0.8)


def test_a_bayer_picture_of_odd_size_is_refused() -> None:
    """swscale would end the whole process with a failed assertion."""
    with pytest.raises(InputError, match="33x18"):
        plan_conversion(av.VideoFrame(33, 18, "bayer_rggb8"))
