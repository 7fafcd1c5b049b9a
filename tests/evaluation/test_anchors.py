from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from stpcodec.errors import InputError, UsageError
from stpcodec.evaluation.anchors import ANCHORS, find_anchor, measure_anchor, message_bytes
from stpcodec.evaluation.vvenc import eight_bits
from stpcodec.video.frames import Frame
from tests.evaluation.clip_maker import info_of, moving_frames, needs

HERE = [name for name in ANCHORS if name != "vvenc"]
VVENC = pytest.param("vvenc", marks=needs(ffmpeg_encoder="libvvenc"))


@pytest.mark.parametrize("name", [*HERE, VVENC])
def test_less_rate_is_less_quality(name: str) -> None:
    anchor = ANCHORS[name]
    fine, coarse = (
        measure_anchor(anchor, info_of(), moving_frames(9), crf=crf) for crf in (anchor.crf[0], anchor.crf[-1])
    )
    assert fine.payload_bytes > coarse.payload_bytes > 0
    assert fine.psnr.frame_mean["yuv"] > coarse.psnr.frame_mean["yuv"] + 3
    assert fine.psnr.frames == coarse.psnr.frames == 9
    assert len(fine.spans) == len(fine.quality.frame_psnr) == 9
    assert sum(size for _, size in fine.spans) == fine.payload_bytes


def test_the_rate_is_that_of_the_packets_in_a_finished_file(tmp_path: Path) -> None:
    """The same encode into a raw .h264 file. Without assembly, with which x264 does not always repeat itself."""
    info, path = info_of(), tmp_path / "anchor.h264"
    options = {"preset": "medium", "x264-params": "asm=0"}
    with av.open(str(path), "w", format="h264") as out:
        stream = out.add_stream("libx264", rate=25, options={"crf": "28", **options})
        stream.width, stream.height, stream.pix_fmt = info.width, info.height, "yuv420p"
        stream.codec_context.thread_count = 1
        for frame in moving_frames(6):
            picture = av.VideoFrame(info.width, info.height, "yuv420p")
            for plane, samples in zip(picture.planes, (frame.y, frame.u, frame.v), strict=True):
                padded = bytearray(plane.buffer_size)
                for row, line in enumerate(samples):
                    padded[row * plane.line_size : row * plane.line_size + len(line)] = line.tobytes()
                plane.update(bytes(padded))
            picture.pts = frame.pts
            out.mux(stream.encode(picture))
        out.mux(stream.encode())
    anchor = replace(ANCHORS["x264"], options=tuple(options.items()))
    point = measure_anchor(anchor, info, moving_frames(6), crf=28)
    assert point.payload_bytes + point.message_bytes == path.stat().st_size


def test_only_the_text_about_the_encoder_is_set_apart() -> None:
    messages = {
        name: measure_anchor(anchor, info_of(), moving_frames(3), crf=30).message_bytes
        for name, anchor in ANCHORS.items()
        if name in HERE
    }
    assert 300 < messages["x264"] < 1500
    assert 300 < messages["x265"] < 5000
    assert messages["svtav1"] == 0


def test_message_bytes_of_known_units() -> None:
    picture, message, parameters = b"\x65" + b"\x11" * 20, b"\x06\x05" + b"x" * 30, b"\x67\x42\x00"
    stream = b"".join(b"\0\0\1" + unit for unit in (parameters, message, picture))
    assert message_bytes(stream, "h264") == 3 + len(message)
    assert message_bytes(b"\0\0\1" + message, "h264") == 3 + len(message)
    assert message_bytes(b"\0\0\1" + picture, "h264") == 0
    assert message_bytes(stream, "libdav1d") == 0


@pytest.mark.parametrize("name", ["x264", VVENC])
def test_odd_sizes_are_measured_without_the_padding(name: str) -> None:
    size = {"width": 65, "height": 47}
    point = measure_anchor(ANCHORS[name], info_of(**size), moving_frames(3, **size), crf=20)
    assert point.psnr.frame_mean["yuv"] > 35


@pytest.mark.parametrize("name", ["x264", "x265"])
def test_a_picture_that_costs_much_is_where_its_bytes_are(name: str) -> None:
    """Five frames of grey, then five of one noise: the sixth costs most, in order of display."""
    grey = np.full((48, 64), 100, np.uint8)
    noise = np.random.default_rng(5).integers(0, 255, (48, 64), np.uint8)
    chroma = np.full((24, 32), 128, np.uint8)
    frames = [Frame(grey if n < 5 else noise, chroma, chroma, pts=n) for n in range(10)]
    sizes = [size for _, size in measure_anchor(ANCHORS[name], info_of(), frames, crf=30).spans]
    assert sizes.index(max(sizes)) == 5
    assert sizes[5] > sum(sizes) / 2


@needs(ffmpeg_encoder="libvvenc")
def test_vvenc_passes_on_what_goes_wrong_on_either_side() -> None:
    def breaks() -> Iterator[Frame]:
        yield from moving_frames(2)
        raise InputError("clip.mkv: is cut off")

    with pytest.raises(InputError, match="is cut off"):
        measure_anchor(ANCHORS["vvenc"], info_of(), breaks(), crf=40)
    impossible = replace(ANCHORS["vvenc"], options=(("preset", "swift"),))
    with pytest.raises(UsageError, match="anchor vvenc"):
        measure_anchor(impossible, info_of(), moving_frames(2), crf=40)


def test_eight_bits_from_ten() -> None:
    assert eight_bits(np.array([[0, 1, 2, 5, 6, 1021, 1022, 1023]], np.uint16)).tolist() == [
        [0, 0, 1, 1, 2, 255, 255, 255]
    ]


@pytest.mark.parametrize("name", ["x265", VVENC])
def test_ten_bits_stay_ten_bits(name: str) -> None:
    point = measure_anchor(ANCHORS[name], info_of(bit_depth=10), moving_frames(3, bit_depth=10), crf=22)
    assert point.psnr.frame_mean["yuv"] > 35


def test_an_unknown_anchor_is_named_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="anchor 'vp7': there are x264, x265, svtav1, vvenc"):
        find_anchor("vp7")
