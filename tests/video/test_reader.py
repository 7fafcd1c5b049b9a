"""stpcodec/video/reader.py on files of many kinds."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stpcodec.errors import InputError
from stpcodec.video import Frame, VideoInfo, VideoReader
from tests.video import media


def read(path: object, **options: bool) -> tuple[VideoInfo, list[Frame], list[str]]:
    warnings: list[str] = []
    with VideoReader(str(path), warn=warnings.append, **options) as reader:
        return reader.info, list(reader), warnings


@pytest.mark.parametrize(("width", "height"), [(64, 48), (33, 17), (1, 1), (2, 2), (16, 16)])
@pytest.mark.parametrize(("pixel_format", "depth"), [("yuv420p", 8), ("yuv420p10le", 10)])
def test_planes_of_420_are_those_of_the_file(
    tmp_path: Path, width: int, height: int, pixel_format: str, depth: int
) -> None:
    path = media.make_video(tmp_path / "a.mkv", 3, width, height, codec="ffv1", pixel_format=pixel_format)
    info, frames, warnings = read(path)
    assert (info.width, info.height, info.bit_depth, info.source_pixel_format) == (
        width, height, depth, pixel_format,
    )  # fmt: skip
    assert warnings == []
    for index, frame in enumerate(frames):
        for found, expected in zip(
            (frame.y, frame.u, frame.v), media.pattern(index, width, height, depth), strict=True
        ):
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)


def test_uneven_times_are_exact(tmp_path: Path) -> None:
    times = media.vfr_pts(20)
    path = media.make_video(tmp_path / "a.mp4", 20, time_base=Fraction(1, 90000), pts=times)
    info, frames, _ = read(path)
    assert [f.pts * info.time_base for f in frames] == [Fraction(t, 90000) for t in times]
    assert [f.duration for f in frames[:-1]] == list(np.diff(times))


def test_a_start_that_is_not_zero_stays(tmp_path: Path) -> None:
    times = [90000 + 3600 * index for index in range(5)]
    path = media.make_video(tmp_path / "a.mp4", 5, time_base=Fraction(1, 90000), pts=times)
    info, frames, _ = read(path)
    assert [f.pts * info.time_base for f in frames] == [Fraction(t, 90000) for t in times]


def test_what_the_stream_says_about_itself(tmp_path: Path) -> None:
    info, frames, warnings = read(media.make_mp4_with_everything(tmp_path / "a.mp4"))
    assert info.rotation == 90
    assert (info.color_range, info.color_primaries, info.color_transfer, info.color_space) == (1, 9, 16, 9)
    assert info.chroma_location == 3  # top left
    assert info.sample_aspect_ratio == Fraction(4, 3)
    assert info.time_base == Fraction(1, 90000)
    assert info.frame_count_estimate == len(frames) == 36
    assert info.duration_seconds == pytest.approx(float(frames[-1].pts * info.time_base), abs=0.06)
    assert info.metadata["title"] == "Everything"
    assert info.stream_metadata["language"] == "jpn"
    assert not info.interlaced
    assert warnings == []


def test_matroska_has_no_frame_count_but_an_estimate(tmp_path: Path) -> None:
    info, frames, _ = read(media.make_mkv_with_everything(tmp_path / "a.mkv"))
    assert info.frame_count_estimate == len(frames)


def test_a_mirrored_picture_carries_its_whole_matrix(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as output:
        stream = output.add_stream("libx264", rate=25, options=media.FAST)
        stream.width, stream.height = 32, 32
        stream.set_display_rotation(90, hflip=True)
        output.mux(stream.encode(media.picture(0, 32, 32)))
        output.mux(stream.encode(None))
    info, _, _ = read(tmp_path / "a.mp4")
    assert len(info.stream_metadata["stpcodec_display_matrix"].split()) == 9


def test_interlaced_is_said(tmp_path: Path) -> None:
    path = media.make_video(
        tmp_path / "a.mkv", 4, options={"preset": "ultrafast", "flags": "+ildct+ilme", "x264-params": "tff=1"}
    )
    info, _, warnings = read(path)
    assert info.interlaced
    assert len(warnings) == 1
    assert "interlaced" in warnings[0]


CONVERTED = [
    ("ffv1", "yuv422p", 8, "4:2:2"),
    ("ffv1", "yuv444p", 8, "4:4:4"),
    ("ffv1", "yuv444p10le", 10, "4:4:4"),
    ("ffv1", "yuva420p", 8, "transparency"),
    ("ffv1", "gray", 8, "grey"),
    ("ffv1", "gray10le", 10, "grey"),
    ("ffv1", "bgr0", 8, "RGB"),
    ("ffv1", "gbrp10le", 10, "RGB"),
    ("ffv1", "yuv420p12le", 10, "12-bit"),
    ("ffv1", "yuv422p16le", 10, "16-bit"),
]


@pytest.mark.parametrize(("codec", "pixel_format", "depth", "loss"), CONVERTED)
def test_other_formats_are_converted_and_the_loss_is_named(
    tmp_path: Path, codec: str, pixel_format: str, depth: int, loss: str
) -> None:
    path = media.make_video(tmp_path / "a.mkv", 2, 34, 18, codec=codec, pixel_format=pixel_format)
    info, frames, warnings = read(path)
    assert info.bit_depth == depth
    assert len(warnings) == 1
    assert loss in warnings[0]
    assert "\n" not in warnings[0]
    assert frames[1].u.shape == (9, 17)
    # The same picture within what resampling costs; RGB and grey change range, so compare structure.
    expected = media.pattern(1, 34, 18, depth)[0].astype(float)
    assert np.corrcoef(frames[1].y.ravel().astype(float), expected.ravel())[0, 1] > 0.98


@pytest.mark.parametrize("pixel_format", ["yuv422p", "yuv444p", "yuva420p", "yuvj444p", "yuv411p"])
def test_conversion_leaves_luma_untouched(tmp_path: Path, pixel_format: str) -> None:
    """swscale would rescale full-range luma, and take another matrix, unless told not to."""
    source = media.picture(3, 64, 48, pixel_format)
    with av.open(str(tmp_path / "a.nut"), "w") as output:
        stream = output.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixel_format
        source.pts, source.time_base = 0, Fraction(1, 25)
        output.mux(stream.encode(source))
    _, frames, _ = read(tmp_path / "a.nut")
    plane = source.planes[0]
    luma = np.frombuffer(memoryview(plane), np.uint8).reshape(48, plane.line_size)[:, :64]
    np.testing.assert_array_equal(frames[0].y, luma)


@pytest.mark.parametrize("matrix", ["red", "white"])
def test_rgb_becomes_bt709_limited(tmp_path: Path, matrix: str) -> None:
    rgb = {"red": (255, 0, 0), "white": (255, 255, 255)}[matrix]
    expected = {"red": (63, 102, 240), "white": (235, 128, 128)}[matrix]  # ITU-R BT.709-6, 8 bits
    frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), rgb, np.uint8), format="rgb24")
    with av.open(str(tmp_path / "a.png"), "w", format="image2") as output:
        stream = output.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "rgb24"
        output.mux(stream.encode(frame))
    info, frames, _ = read(tmp_path / "a.png")
    assert (info.color_range, info.color_space) == (1, 1)
    assert tuple(int(p[5, 5]) for p in (frames[0].y, frames[0].u, frames[0].v)) == expected


def test_image_sequence_by_number_and_by_pattern(tmp_path: Path) -> None:
    numbered = media.make_images(tmp_path, 4, start=120)
    for name in (numbered, str(tmp_path / "*.png")):
        info, frames, _ = read(name)
        assert (info.width, info.height, len(frames)) == (32, 24, 4)
        assert [f.pts for f in frames] == [0, 1, 2, 3]


class Pipe(io.BytesIO):
    """Bytes that cannot be sought, as standard input delivers them."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise OSError("not seekable")


def feed(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": Pipe(data)})())


def test_y4m_on_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    y, u, v = media.pattern(0, 6, 4)
    frame = b"FRAME\n" + y.tobytes() + u.tobytes() + v.tobytes()
    feed(monkeypatch, b"YUV4MPEG2 W6 H4 F30000:1001 Ip A4:3 C420mpeg2 XCOLORRANGE=FULL\n" + frame * 3)
    info, frames, warnings = read("-")
    assert (info.width, info.height, info.color_range, info.chroma_location) == (6, 4, 2, 1)
    assert info.average_rate == Fraction(30000, 1001)
    assert info.sample_aspect_ratio == Fraction(4, 3)
    assert [f.pts * info.time_base for f in frames] == [Fraction(1001 * i, 30000) for i in range(3)]
    np.testing.assert_array_equal(frames[2].v, v)
    assert warnings == []


def test_words_beyond_ten_bits_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    words = np.array([0, 1023, 1024, 65535] * 6, "<u2").tobytes()
    feed(monkeypatch, b"YUV4MPEG2 W4 H4 F25:1 Ip A0:0 C420p10 XYSCSS=420P10\nFRAME\n" + words)
    _, frames, _ = read("-")
    assert frames[0].y[0].tolist() == [0, 1023, 1023, 1023]


def test_matroska_on_standard_input_says_that_sound_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feed(monkeypatch, media.make_mkv_with_everything(tmp_path / "a.mkv").read_bytes())
    _, frames, warnings = read("-")
    assert len(frames) == 36
    assert len(warnings) == 1
    assert "audio" in warnings[0]


def test_garbage_on_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    feed(monkeypatch, b"\x01\x02garbage" * 500)
    with pytest.raises(InputError, match="standard input"):
        read("-")


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_truncated_is_read_to_its_end_and_said(tmp_path: Path, name: str) -> None:
    path = media.make_truncated(tmp_path / name)
    _, frames, warnings = read(path)
    assert 5 < len(frames) < 45
    assert len(warnings) == 1
    assert "cut off" in warnings[0]
    with pytest.raises(InputError, match="strict"):
        read(path, strict=True)


def test_whole_files_are_not_called_truncated(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.mkv", "a.avi", "a.ts", "a.mov", "a.flv", "a.y4m"):
        codec = {"a.y4m": "wrapped_avframe"}.get(name, "libx264")
        path = media.make_video(tmp_path / name, 30, codec=codec, options={})
        _, frames, warnings = read(path)
        assert (name, len(frames), warnings) == (name, 30, [])


def test_damage_is_counted_and_strict_refuses(tmp_path: Path) -> None:
    path = media.make_damaged(tmp_path / "a.mp4")
    _, frames, warnings = read(path)
    assert len(frames) > 25
    assert len(warnings) == 1
    assert "damaged" in warnings[0]
    with pytest.raises(InputError, match=r"frame at \d+\.\d+ s cannot be decoded"):
        read(path, strict=True)


def test_frames_without_times_get_even_ones(tmp_path: Path) -> None:
    """A bare H.264 stream has no times at all."""
    path = media.make_video(tmp_path / "a.h264", 10, format_name="h264", options={"bf": "0", **media.FAST})
    info, frames, _ = read(path)
    assert len(frames) == 10
    steps = np.diff([float(f.pts * info.time_base) for f in frames])
    assert (steps > 0).all()


def test_a_picture_that_changes_size_ends_with_a_clear_error(tmp_path: Path) -> None:
    path = media.make_size_change(tmp_path / "a.ts")
    with pytest.raises(InputError, match=r"64x48 to 96x64 at 0\.\d+ s"):
        read(path)


def test_frames_are_copies_and_arrive_one_at_a_time(tmp_path: Path) -> None:
    path = media.make_video(tmp_path / "a.mkv", 5, codec="ffv1")
    with VideoReader(path) as reader:
        frames = iter(reader)
        first = next(frames)
        kept = first.y.copy()
        for _ in frames:
            pass
        np.testing.assert_array_equal(first.y, kept)
        assert first.y.flags.c_contiguous
        assert first.y.flags.owndata


def test_closing_early_is_fine(tmp_path: Path) -> None:
    path = media.make_video(tmp_path / "a.mp4", 5)
    reader = VideoReader(path)
    next(iter(reader))
    reader.close()
    assert list(reader) == []


def test_tags_that_are_not_utf8_do_not_stop_reading(tmp_path: Path) -> None:
    path = media.make_video(tmp_path / "a.mkv", 2, metadata={"title": "XXXX"})
    path.write_bytes(path.read_bytes().replace(b"XXXX", b"X\xe9XX"))
    info, frames, _ = read(path)
    assert info.metadata["title"] == "X�XX"
    assert len(frames) == 2
