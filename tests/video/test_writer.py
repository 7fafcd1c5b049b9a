"""stpcodec/video/writer.py: encoded files, encoders and options, odd sizes, and every way to fail."""

from __future__ import annotations

import gc
import io
import os
import resource
import signal
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stpcodec.errors import OutputError, StpError, UsageError
from stpcodec.video import Frame, VideoInfo, VideoReader, VideoWriter
from tests.video import media

INFO = VideoInfo("x", 64, 48, 8, Fraction(1, 90000), Fraction(25))


def frames(info: VideoInfo, count: int = 8) -> Iterator[Frame]:
    times = media.vfr_pts(count + 1)
    for index in range(count):
        planes = media.pattern(index, info.width, info.height, info.bit_depth)
        yield Frame(*planes, pts=times[index], duration=times[index + 1] - times[index])


def write(target: object, info: VideoInfo = INFO, count: int = 8, **options: object) -> list[str]:
    warnings: list[str] = []
    with VideoWriter(target, info, warn=warnings.append, **options) as writer:  # type: ignore[arg-type]
        for frame in frames(info, count):
            writer.write(frame)
    return warnings


def read(path: Path) -> tuple[VideoInfo, list[Frame]]:
    with VideoReader(path, warn=lambda _: None) as reader:
        return reader.info, list(reader)


def psnr(found: np.ndarray, expected: np.ndarray, depth: int = 8) -> float:
    error = np.mean((found.astype(float) - expected.astype(float)) ** 2)
    return float(10 * np.log10((2**depth - 1) ** 2 / max(error, 1e-9)))


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
@pytest.mark.parametrize("depth", [8, 10])
def test_default_encoder(tmp_path: Path, suffix: str, depth: int) -> None:
    info = replace(INFO, bit_depth=depth)
    write(tmp_path / f"a{suffix}", info)
    found, decoded = read(tmp_path / f"a{suffix}")
    assert found.bit_depth == depth
    assert found.source_pixel_format == {8: "yuv420p", 10: "yuv420p10le"}[depth]
    assert len(decoded) == 8
    for frame, expected in zip(decoded, frames(info), strict=True):
        assert psnr(frame.y, expected.y, depth) > 42
        assert psnr(frame.u, expected.u, depth) > 42
    with av.open(str(tmp_path / f"a{suffix}")) as container:
        assert container.streams.video[0].codec_context.name == "h264"


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_times_are_exact(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / f"a{suffix}")
    info, decoded = read(tmp_path / f"a{suffix}")
    expected = [(f.pts * INFO.time_base, f.duration * INFO.time_base) for f in frames(INFO)]
    found = [(f.pts * info.time_base, f.duration * info.time_base) for f in decoded]
    assert found[:-1] == expected[:-1]
    assert found[-1][0] == expected[-1][0]
    assert info.duration_seconds == pytest.approx(float(sum(expected[-1])), abs=0.002)


@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(24000, 1001), Fraction(60), Fraction(25, 2)])
def test_a_frame_as_the_unit_of_time(tmp_path: Path, rate: Fraction) -> None:
    """As y4m counts: one unit is 1001/30000 s."""
    info = replace(INFO, time_base=1 / rate, average_rate=rate)
    with VideoWriter(tmp_path / "a.mp4", info) as writer:
        for index, frame in enumerate(frames(info, 10)):
            writer.write(replace(frame, pts=index, duration=1))
    found, decoded = read(tmp_path / "a.mp4")
    assert [f.pts * found.time_base for f in decoded] == [index / rate for index in range(10)]
    assert found.average_rate == rate


def test_matroska_rounds_to_milliseconds_and_says_so(tmp_path: Path) -> None:
    warnings = write(tmp_path / "a.mkv")
    assert [w for w in warnings if "milliseconds" in w] == warnings != []
    info, decoded = read(tmp_path / "a.mkv")
    for found, expected in zip(decoded, frames(INFO), strict=True):
        assert abs(found.pts * info.time_base - expected.pts * INFO.time_base) <= Fraction(1, 2000)


@pytest.mark.parametrize(
    ("vcodec", "options", "depth"),
    [
        ("ffv1", None, 8),
        ("ffv1", None, 10),
        ("libx264", {"qp": "0"}, 8),
        ("libx265", {"x265-params": "lossless=1"}, 10),
        ("libvpx-vp9", {"lossless": "1"}, 8),
    ],
)
def test_lossless_encoders(tmp_path: Path, vcodec: str, options: dict | None, depth: int) -> None:
    info = replace(INFO, bit_depth=depth)
    write(tmp_path / "a.mkv", info, vcodec=vcodec, options=options)
    _, decoded = read(tmp_path / "a.mkv")
    for found, expected in zip(decoded, frames(info), strict=True):
        np.testing.assert_array_equal(found.y, expected.y)
        np.testing.assert_array_equal(found.v, expected.v)


def test_av1(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", vcodec="libsvtav1", options={"preset": "12"})
    info, decoded = read(tmp_path / "a.mp4")
    assert len(decoded) == 8
    assert [f.pts * info.time_base for f in decoded] == [f.pts * INFO.time_base for f in frames(INFO)]


@pytest.mark.parametrize(("width", "height"), [(33, 48), (64, 17), (33, 17), (1, 1)])
@pytest.mark.parametrize("depth", [8, 10])
def test_odd_sizes_keep_every_sample_with_x264(tmp_path: Path, width: int, height: int, depth: int) -> None:
    info = replace(INFO, width=width, height=height, bit_depth=depth)
    warnings = write(tmp_path / "a.mp4", info, 3, options={"qp": "0"})
    assert len(warnings) == 1
    assert "4:4:4" in warnings[0]
    dtype = np.uint8 if depth == 8 else np.uint16
    with av.open(str(tmp_path / "a.mp4")) as container:
        pictures = list(container.decode(video=0))
    assert len(pictures) == 3
    for picture, expected in zip(pictures, frames(info, 3), strict=True):
        assert (picture.width, picture.height) == (width, height)
        planes = [np.frombuffer(memoryview(p), dtype).reshape(p.height, -1)[:, : p.width] for p in picture.planes]
        np.testing.assert_array_equal(planes[0], expected.y)
        np.testing.assert_array_equal(planes[1][::2, ::2], expected.u)
        np.testing.assert_array_equal(planes[2][::2, ::2], expected.v)


def test_odd_sizes_stay_420_where_the_encoder_can(tmp_path: Path) -> None:
    info = replace(INFO, width=33, height=17, time_base=Fraction(1, 1000))
    assert write(tmp_path / "a.mkv", info, vcodec="ffv1") == []
    _, decoded = read(tmp_path / "a.mkv")
    np.testing.assert_array_equal(decoded[3].u, media.pattern(3, 33, 17)[1])


def test_an_encoder_without_420_is_converted_and_said(tmp_path: Path) -> None:
    warnings = write(tmp_path / "a.mov", vcodec="prores_ks")
    assert len(warnings) == 1
    assert "yuv422p10le" in warnings[0]
    _, decoded = read(tmp_path / "a.mov")
    assert psnr(decoded[2].y, media.pattern(2, 64, 48)[0].astype(float) * 4, 10) > 40


def test_colour_orientation_and_aspect_are_set(tmp_path: Path) -> None:
    info = replace(
        INFO, color_range=1, color_primaries=9, color_transfer=16, color_space=9, chroma_location=3,
        sample_aspect_ratio=Fraction(4, 3), rotation=-90, stream_metadata={"language": "jpn", "title": "cam"},
        metadata={"title": "T", "custom": "free"},
    )  # fmt: skip
    for suffix in (".mp4", ".mov", ".mkv"):
        write(tmp_path / f"a{suffix}", info)
        found, _ = read(tmp_path / f"a{suffix}")
        for name in (
            "color_range", "color_primaries", "color_transfer", "color_space", "chroma_location",
            "sample_aspect_ratio", "rotation",
        ):  # fmt: skip
            assert getattr(found, name) == getattr(info, name), (suffix, name)
        tags = {key.lower(): value for key, value in found.metadata.items()}
        assert (tags["title"], tags["custom"]) == ("T", "free")
        assert found.stream_metadata["language"] == "jpn"
        assert found.stream_metadata.get("title", found.stream_metadata.get("name")) == "cam"


def test_full_range_stays_full_range(tmp_path: Path) -> None:
    info = replace(INFO, color_range=2)
    write(tmp_path / "a.mp4", info)
    found, decoded = read(tmp_path / "a.mp4")
    assert found.color_range == 2
    assert psnr(decoded[0].y, media.pattern(0, 64, 48)[0]) > 42


def test_mirrored_pictures_and_field_order_survive(tmp_path: Path) -> None:
    matrix = "0 65536 0 65536 0 0 0 0 1073741824"
    carried = {"stpcodec_display_matrix": matrix, "stpcodec_field_order": "2"}
    write(tmp_path / "a.mkv", replace(INFO, rotation=90, interlaced=True, stream_metadata=carried))
    found, _ = read(tmp_path / "a.mkv")
    assert found.stream_metadata["stpcodec_field_order"] == "2"
    write(tmp_path / "a.mp4", replace(INFO, rotation=90, stream_metadata=carried))
    found, _ = read(tmp_path / "a.mp4")
    assert found.stream_metadata["stpcodec_display_matrix"] == matrix


def test_a_late_start_is_kept_and_a_very_late_one_moved(tmp_path: Path) -> None:
    for start, kept in ((2 * 90000, True), (3003, True), (100 * 90000, False)):
        warnings: list[str] = []
        with VideoWriter(tmp_path / "a.mp4", INFO, warn=warnings.append) as writer:
            for frame in frames(INFO):
                writer.write(replace(frame, pts=frame.pts + start))
        info, decoded = read(tmp_path / "a.mp4")
        moved = 0 if kept else start
        assert [f.pts * info.time_base for f in decoded] == [
            (f.pts + start - moved) * INFO.time_base for f in frames(INFO)
        ]
        assert bool(warnings) != kept


def test_no_frame_at_all_still_closes(tmp_path: Path) -> None:
    for name in ("a.y4m", "a.mkv", "a.mp4"):
        VideoWriter(tmp_path / name, INFO).close()


def test_streams_without_seeking(tmp_path: Path) -> None:
    class Pipe:
        def __init__(self) -> None:
            self.data = b""

        def write(self, data: memoryview) -> int:
            self.data += bytes(data)
            return len(data)

        def flush(self) -> None: ...

        def seekable(self) -> bool:
            return False

    pipe = Pipe()
    write(pipe, format_name="matroska")
    (tmp_path / "a.mkv").write_bytes(pipe.data)
    assert len(read(tmp_path / "a.mkv")[1]) == 8
    with pytest.raises(UsageError, match="pipe"):
        write(Pipe(), format_name="mp4")


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("a.xyz", {}, "suffix"),
        ("a", {}, "suffix"),
        ("a.mkv", {"format_name": "gif"}, "gif"),
        ("a.mkv", {"vcodec": "nothing"}, "no such encoder"),
        ("a.mkv", {"vcodec": "aac"}, "not video"),
        ("a.mkv", {"options": {"crff": "3"}}, "no option 'crff'"),
        ("a.mkv", {"options": {"preset": "warp"}}, "preset=warp"),
        ("a.mov", {"vcodec": "ffv1"}, "mov cannot hold ffv1"),
        ("a.mov", {"vcodec": "libsvtav1"}, "mov cannot hold libsvtav1"),
        ("a.y4m", {"vcodec": "ffv1"}, "raw frames"),
    ],
)
def test_what_cannot_be_asked_for(tmp_path: Path, name: str, options: dict, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        write(tmp_path / name, **options)
    assert "\n" not in str(caught.value)


def test_unwritable_targets(tmp_path: Path) -> None:
    for target in (tmp_path / "no" / "a.mkv", tmp_path / "folder.mkv"):
        (tmp_path / "folder.mkv").mkdir(exist_ok=True)
        with pytest.raises(OutputError, match="cannot be written"):
            write(target)


@pytest.mark.parametrize("suffix", [".y4m", ".mkv", ".mp4", ".mov"])
def test_a_full_disk_is_one_line_and_nothing_stays_open(tmp_path: Path, suffix: str) -> None:
    """A limit on the file size stands for the end of the disk."""
    open_files = len(os.listdir("/proc/self/fd"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, before[1]))
    try:
        with pytest.raises(OutputError, match=r"a\.\w+: cannot be written") as caught:
            write(tmp_path / f"a{suffix}", count=40, name=f"shown a{suffix}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("shown a")
    assert caught.value.exit_code == 5
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == open_files


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("format_name", ["y4m", "matroska", "mp4"])
def test_no_space_left_on_device(format_name: str) -> None:
    with pytest.raises(OutputError, match="No space left"):
        write("/dev/full", format_name=format_name)


def test_a_reader_that_went_away() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb", buffering=0) as pipe, pytest.raises(OutputError, match="closed the pipe"):
        write(pipe)


def test_an_exception_inside_the_block_is_the_one_that_comes_out(tmp_path: Path) -> None:
    for name in ("a.y4m", "a.mkv", "a.mp4"):
        writer = VideoWriter(tmp_path / name, INFO)
        frames_and_error = [*frames(INFO, 2), KeyError("mine")]
        with pytest.raises(KeyError, match="mine"), writer:
            _write_until_error(writer, frames_and_error)


def _write_until_error(writer: VideoWriter, items: list) -> None:
    for item in items:
        if isinstance(item, Exception):
            raise item
        writer.write(item)


def test_errors_of_a_custom_sink_pass_through() -> None:
    class Sink(io.BytesIO):
        def write(self, data: object) -> int:
            raise StpError("the sink says no")

    for format_name in ("y4m", "matroska", "mp4"):
        with pytest.raises(StpError, match="the sink says no"):
            write(Sink(), format_name=format_name)
