"""Whatever is given: one line that says what is wrong, the right exit code, nothing left behind or overwritten."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from stpcodec.codec.output import CheckedFile
from stpcodec.container import Segment, StpReader, StpWriter, StreamHeader
from tests.cli.conftest import Outcome, Run
from tests.codec.clips import pictures, write_sound, write_video, write_y4m

ENCODE = ("--model", "dct", "-q")


def assert_refused(outcome: Outcome, code: int, *words: str) -> None:
    assert outcome.code == code, outcome.err
    lines = outcome.err.splitlines()
    assert lines[-1].startswith("stpcodec: error: ")
    assert all(line.startswith("stpcodec: warning: ") for line in lines[:-1])
    assert "Traceback" not in outcome.err + outcome.out
    assert outcome.out == ""
    for word in words:
        assert word in lines[-1]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("This is a letter, not a video.\n" * 40)


def sound_only(path: Path) -> None:
    write_sound(path.with_suffix(".wav")).rename(path)


def mp4_without_its_index(path: Path) -> None:
    write_video(path, pictures(30), codec="libx264")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def noise(path: Path) -> None:
    path.write_bytes(bytes((i * 7919 + i // 13) % 256 for i in range(5000)))


def y4m_without_a_frame(path: Path) -> None:
    data = write_y4m(path, pictures(1)).read_bytes()
    path.write_bytes(data[: data.index(b"FRAME")])


def an_stp_file(path: Path) -> None:
    path.write_bytes(b"\x89STP\r\n\x1a\n" + bytes(200))


def nothing(path: Path) -> None:
    pass


class TestEncode:
    @pytest.mark.parametrize(
        "make",
        [nothing, empty, text, sound_only, mp4_without_its_index, noise, y4m_without_a_frame, an_stp_file, Path.mkdir],
    )
    @pytest.mark.parametrize("before", [None, b"precious"])
    def test_what_is_no_video(
        self, make: Callable[[Path], object], before: bytes | None, tmp_path: Path, run: Run
    ) -> None:
        source, target = tmp_path / "in.mp4", tmp_path / "out.stp"
        make(source)
        if before is not None:
            target.write_bytes(before)
        there = names(tmp_path)
        assert_refused(run("encode", source, target, "--overwrite", *ENCODE), 3, "in.mp4")
        assert names(tmp_path) == there
        if before is not None:
            assert target.read_bytes() == before

    def test_a_cut_off_file_is_used_with_a_warning_unless_strict(self, tmp_path: Path, run: Run) -> None:
        source = write_video(tmp_path / "in.mkv", pictures(40), codec="ffv1")
        data = source.read_bytes()
        source.write_bytes(data[: len(data) // 2])
        strict = run("encode", source, tmp_path / "out.stp", "--strict", *ENCODE)
        assert_refused(strict, 3, "in.mkv")
        assert names(tmp_path) == {"in.mkv"}
        outcome = run("encode", source, tmp_path / "out.stp", *ENCODE)
        assert outcome.code == 0
        assert "warning" in outcome.err

    @pytest.mark.parametrize(
        ("height", "width", "count"), [(16, 16, 5), (1, 1, 3), (48, 64, 1), (1, 1, 1), (2, 130, 2)]
    )
    def test_tiny_videos_are_videos(self, height: int, width: int, count: int, tmp_path: Path, run: Run) -> None:
        source = write_y4m(tmp_path / "in.y4m", pictures(count, height=height, width=width))
        outcome = run("encode", source, tmp_path / "x.stp", "--verify", *ENCODE)
        assert outcome.code == 0, outcome.err
        outcome = run("decode", tmp_path / "x.stp", tmp_path / "out.y4m", "-q")
        assert outcome.code == 0, outcome.err
        assert len((tmp_path / "out.y4m").read_bytes()) == len(source.read_bytes())

    def test_output_that_is_the_input(self, tmp_path: Path, run: Run) -> None:
        source = write_y4m(tmp_path / "in.y4m", pictures(2))
        before = source.read_bytes()
        (tmp_path / "link.stp").symlink_to(source)
        for target in (source, tmp_path / "link.stp"):
            assert_refused(run("encode", source, target, "--overwrite", *ENCODE), 2, "same file")
        assert source.read_bytes() == before

    def test_targets_that_cannot_be(self, clip: Path, tmp_path: Path, run: Run) -> None:
        assert_refused(run("encode", clip, tmp_path, *ENCODE), 5, "folder")
        assert_refused(run("encode", clip, tmp_path / "a" / "b.stp", *ENCODE), 5, "does not exist")
        assert_refused(run("encode", clip, clip / "b.stp", *ENCODE), 5)
        assert_refused(run("encode", clip, "/proc/no.stp", *ENCODE), 5)
        assert_refused(run("encode", clip, tmp_path / ("n" * 300), *ENCODE), 5, "too long")
        assert names(tmp_path) == set()

    @pytest.mark.parametrize(("number", "says"), [(errno.ENOSPC, "no space left"), (errno.EIO, "input/output error")])
    def test_a_disk_that_is_full_or_fails(
        self, number: int, says: str, clip: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "y.stp").write_bytes(b"precious")
        fail_after(monkeypatch, 1000, number)
        assert_refused(run("encode", clip, tmp_path / "x.stp", *ENCODE), 5, "x.stp", says)
        assert_refused(run("encode", clip, tmp_path / "y.stp", "--overwrite", *ENCODE), 5, "y.stp", says)
        assert names(tmp_path) == {"y.stp"}
        assert (tmp_path / "y.stp").read_bytes() == b"precious"

    def test_a_model_that_is_not_there(self, clip: Path, tmp_path: Path, run: Run) -> None:
        text(tmp_path / "weights.safetensors")
        for model in ("bogus", tmp_path / "weights.safetensors"):
            assert_refused(run("encode", clip, tmp_path / "x.stp", "-q", "--model", model), 6)
        assert names(tmp_path) == {"weights.safetensors"}


def fail_after(monkeypatch: pytest.MonkeyPatch, limit: int, number: int = errno.ENOSPC) -> None:
    """Every output takes so many bytes, then writing fails: by default the disk is full."""
    real = CheckedFile._write_some

    def write(self: CheckedFile, view: memoryview) -> int:
        if self.bytes_written + len(view) > limit:
            raise OSError(number, os.strerror(number))
        return real(self, view)

    monkeypatch.setattr(CheckedFile, "_write_some", write)


class TestDecode:
    @pytest.mark.parametrize("make", [nothing, empty, text, noise, Path.mkdir])
    def test_what_is_no_stp_file(self, make: Callable[[Path], object], tmp_path: Path, run: Run) -> None:
        source = tmp_path / "in.stp"
        make(source)
        there = names(tmp_path)
        # A folder is not damaged: the remedy is another option.
        code = 2 if source.is_dir() else 3
        assert_refused(run("decode", source, tmp_path / "out.mkv", "-q"), 3, "in.stp")
        for verb in ("info", "verify"):
            assert_refused(run(verb, source), code, "in.stp")
        assert names(tmp_path) == there

    def test_a_video_instead_of_an_stp_file(self, clip: Path, tmp_path: Path, run: Run) -> None:
        assert_refused(run("decode", clip, tmp_path / "out.mkv", "-q"), 3, "not a .stp file")

    def test_cut_anywhere(self, stp: Path, tmp_path: Path, run: Run) -> None:
        """Before the end of the first segment an error, behind it the complete segments and a warning."""
        data = stp.read_bytes()
        with StpReader(stp) as stream:
            first_end = stream.segments[0].offset + stream.segments[0].length
            edges = {edge for entry in stream.segments for edge in (entry.offset, entry.offset + entry.length)}
        cuts = sorted(edges | {0, 1, 7, 8, 15, 16, 17, 45, 46, 60, 200} | set(range(300, len(data), len(data) // 12)))
        source, target = tmp_path / "cut.stp", tmp_path / "out.mkv"
        for cut in [*cuts, len(data) - 1]:
            source.write_bytes(data[:cut])
            target.write_bytes(b"precious")
            outcome = run("decode", source, target, "--overwrite", "-q")
            assert names(tmp_path) == {"cut.stp", "out.mkv"}
            if cut < first_end:
                assert_refused(outcome, 3, "cut.stp")
                assert target.read_bytes() == b"precious"
            else:
                assert outcome.code == 0
                assert outcome.err.count("\n") == 1
                assert "up to its last complete segment" in outcome.err

    def test_flipped_bits_never_pass(self, stp: Path, tmp_path: Path, run: Run) -> None:
        """An error, or, where a damaged byte is not needed (a second copy, the index), the same video."""
        data = stp.read_bytes()
        source, target = tmp_path / "bad.stp", tmp_path / "out.y4m"
        assert run("decode", stp, target, "-q").code == 0
        sound = target.read_bytes()
        target.unlink()
        refused = 0
        for offset in range(3, len(data), max(1, len(data) // 20)):
            bad = bytearray(data)
            bad[offset] ^= 1 << (offset % 8)
            source.write_bytes(bad)
            outcome = run("decode", source, target, "-q")
            if outcome.code == 0:
                assert target.read_bytes() == sound
                target.unlink()
            else:
                refused += 1
                assert_refused(outcome, 3, "bad.stp")
            assert names(tmp_path) == {"bad.stp"}
            assert run("verify", source, "-q").code == 3
        assert refused > 10

    def test_a_newer_version(self, stp: Path, tmp_path: Path, run: Run) -> None:
        import struct
        import zlib

        data = bytearray(stp.read_bytes())
        struct.pack_into("<H", data, 8, 2)
        struct.pack_into("<I", data, 12, zlib.crc32(data[:12]))
        (tmp_path / "new.stp").write_bytes(data)
        for args in (("decode", tmp_path / "new.stp", tmp_path / "out.mkv"), ("info", tmp_path / "new.stp")):
            assert_refused(run(*args), 3, "version 2", "update stpcodec")

    def test_other_weights(
        self, clip: Path, stp: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from stpcodec.codec import encoder

        real = encoder.stream_header
        monkeypatch.setattr(encoder, "stream_header", lambda *a, **k: replace(real(*a, **k), weights_sha256="ab" * 32))
        assert run("encode", clip, tmp_path / "other.stp", *ENCODE).code == 0
        monkeypatch.setattr(encoder, "stream_header", lambda *a, **k: replace(real(*a, **k), model="stranger"))
        assert run("encode", clip, tmp_path / "stranger.stp", *ENCODE).code == 0
        there = names(tmp_path)
        for name, word in (("other", "abababab"), ("stranger", "--model")):
            assert_refused(run("decode", tmp_path / f"{name}.stp", tmp_path / "out.mkv", "-q"), 6, f"{name}.stp", word)
            assert_refused(run("verify", tmp_path / f"{name}.stp"), 6, f"{name}.stp", word)
            assert run("info", tmp_path / f"{name}.stp").code == 0
        assert names(tmp_path) == there

    @pytest.mark.parametrize("suffix", [".y4m", ".mkv", ".mp4"])
    def test_a_full_disk(
        self, suffix: str, stp: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fail_after(monkeypatch, 2000)
        target = tmp_path / f"out{suffix}"
        assert_refused(run("decode", stp, target, "-q"), 5, f"out{suffix}", "no space left")
        assert names(tmp_path) == set()

    def test_output_that_is_the_input(self, stp: Path, tmp_path: Path, run: Run) -> None:
        source = tmp_path / "x.mkv"  # a .stp file under a video's name
        source.write_bytes(stp.read_bytes())
        assert_refused(run("decode", source, source, "--overwrite", "-q"), 2, "same file")
        assert source.read_bytes() == stp.read_bytes()

    def test_forged_streams_with_right_checksums(self, stp: Path, tmp_path: Path, run: Run) -> None:
        """Whoever can compute a checksum can write any bytes: an error of ours, or bytes the coder never looks at."""
        with StpReader(stp) as stream:
            header, segment = stream.header, stream.read_segment(0)
        rewrite(tmp_path / "sound.stp", header, segment)
        assert run("decode", tmp_path / "sound.stp", tmp_path / "sound.y4m", "-q").code == 0
        sound = (tmp_path / "sound.y4m").read_bytes()
        random = Random(5)
        refused = 0
        for number in range(12):
            chunks = list(segment.chunks)
            index = random.randrange(len(chunks))
            streams = list(chunks[index].streams)
            victim = random.randrange(len(streams))
            streams[victim] = forged(streams[victim], number % 4, random)
            chunks[index] = replace(chunks[index], streams=tuple(streams))
            source, target = tmp_path / "forged.stp", tmp_path / "out.y4m"
            rewrite(source, header, replace(segment, chunks=tuple(chunks)))
            outcome = run("decode", source, target, "-q")
            if outcome.code == 0:
                assert target.read_bytes() == sound
                target.unlink()
                continue
            refused += 1
            assert_refused(outcome, 3, f"{source}: segment at frame 0")
            assert run("verify", source).code == 4
            assert names(tmp_path) == {"sound.stp", "sound.y4m", "forged.stp"}
        assert refused >= 8


    @pytest.mark.parametrize(
        ("lie", "remedy", "verified"), [({"tilt": 3}, "copy it again", 3), ({"tile": 30}, "the file is damaged", 4)]
    )
    def test_a_header_with_right_checksums_that_cannot_be(
        self, lie: dict[str, int], remedy: str, verified: int, stp: Path, tmp_path: Path, run: Run
    ) -> None:
        """A tilt that the model has not; tiles that its frames do not fill, which `verify` says of each segment."""
        with StpReader(stp) as stream:
            header, segment = stream.header, stream.read_segment(0)
        source = tmp_path / "lies.stp"
        rewrite(source, replace(header, **lie), segment)
        assert_refused(run("decode", source, tmp_path / "out.y4m", "-q"), 3, f"{source}: ", remedy)
        assert run("verify", source).code == verified
        assert names(tmp_path) == {"lies.stp"}


def rewrite(path: Path, header: StreamHeader, segment: Segment) -> None:
    with path.open("wb") as file:
        writer = StpWriter(file)
        writer.write_header(header)
        writer.write_segment(segment)
        writer.finish()


def forged(stream: bytes, kind: int, random: Random) -> bytes:
    match kind:
        case 0:
            place = random.randrange(len(stream))
            return stream[:place] + bytes([stream[place] ^ 1 << random.randrange(8)]) + stream[place + 1 :]
        case 1:
            return stream[: random.randrange(len(stream))]
        case 2:
            return random.randbytes(random.randrange(200))
        case _:
            return stream + random.randbytes(1 + random.randrange(50))
