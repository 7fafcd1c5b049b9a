"""Outputs appear complete or not at all, and nothing is overwritten unasked."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from stpcodec.codec.output import CheckedFile, OutputClosed, OutputFile, check_target
from stpcodec.errors import InputError, OutputError, UsageError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.mp4"
    path.write_bytes(b"source")
    return path


def test_appears_under_its_name_only_when_complete(tmp_path: Path) -> None:
    target = tmp_path / "out.stp"
    with OutputFile(target) as output:
        output.file().write(b"all of it")
        assert not target.exists()
        assert output.path is not None
        assert output.path.parent == tmp_path
        assert output.path.suffix == ".stp"
    assert target.read_bytes() == b"all of it"
    assert names(tmp_path) == ["out.stp"]


def test_new_files_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with OutputFile(tmp_path / "out.stp") as output:
            output.file().write(b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out.stp").stat().st_mode) == 0o640


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt(), SystemExit(1)])
def test_any_exception_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "out.stp"

    def write_and_fail() -> None:
        with OutputFile(target) as output:
            output.file().write(b"half of it")
            output.scratch(".mkv").write_bytes(b"sound")
            raise error

    with pytest.raises(type(error)):
        write_and_fail()
    assert names(tmp_path) == []


def test_a_failed_overwrite_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "out.stp"
    target.write_bytes(b"old")

    def write_and_fail() -> None:
        with OutputFile(target, overwrite=True) as output:
            output.file().write(b"new")
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["out.stp"]


def test_overwrite_replaces_and_keeps_the_mode(tmp_path: Path) -> None:
    target = tmp_path / "out.stp"
    target.write_bytes(b"old")
    target.chmod(0o600)
    with OutputFile(target, overwrite=True) as output:
        output.file().write(b"new")
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_overwrite_through_a_link_keeps_the_link(tmp_path: Path) -> None:
    real = tmp_path / "real.stp"
    real.write_bytes(b"old")
    link = tmp_path / "link.stp"
    link.symlink_to(real)
    with OutputFile(link, overwrite=True) as output:
        output.file().write(b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


def test_existing_target_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "out.stp"
    target.write_bytes(b"old")
    with pytest.raises(UsageError, match="--overwrite"):
        OutputFile(target)
    assert target.read_bytes() == b"old"


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "out.stp"

    def race() -> None:
        with OutputFile(target) as output:
            output.file().write(b"ours")
            target.write_bytes(b"theirs")

    with pytest.raises(UsageError, match="meanwhile"):
        race()
    assert target.read_bytes() == b"theirs"
    assert names(tmp_path) == ["out.stp"]


@pytest.mark.parametrize("kind", ["same", "symbolic", "hard"])
def test_output_equal_to_input_is_refused_even_with_overwrite(tmp_path: Path, source: Path, kind: str) -> None:
    target = source if kind == "same" else tmp_path / "other.mp4"
    if kind == "symbolic":
        target.symlink_to(source)
    elif kind == "hard":
        os.link(source, target)
    with pytest.raises(UsageError, match="same file"):
        check_target(target, source=source, overwrite=True)
    assert source.read_bytes() == b"source"


def test_missing_source_and_folder_as_source(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        check_target(tmp_path / "out.stp", source=tmp_path / "missing.mp4")
    with pytest.raises(InputError, match="is a folder"):
        check_target(tmp_path / "out.stp", source=tmp_path)


def test_image_sequences_are_left_to_the_reader(tmp_path: Path) -> None:
    check_target(tmp_path / "out.stp", source=tmp_path / "%04d.png")


def test_folders_as_target(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is a folder"):
        check_target(tmp_path)
    with pytest.raises(OutputError, match="does not exist"):
        check_target(tmp_path / "missing" / "out.stp")
    with pytest.raises(UsageError, match="no name"):
        check_target("")


def test_dangling_link_as_target(tmp_path: Path) -> None:
    (tmp_path / "link.stp").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="link to nothing"):
        check_target(tmp_path / "link.stp")


def test_unwritable_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object, flags: int, mode: int = 0o777) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # tests may run as root, who is never refused
    with pytest.raises(OutputError, match="no permission"), OutputFile(tmp_path / "out.stp"):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_devices_are_written_through_and_report_a_full_disk() -> None:
    def fill() -> None:
        with OutputFile("/dev/full", overwrite=True) as output:
            assert output.path == Path("/dev/full")
            output.file().write(b"x" * 100_000)

    with pytest.raises(OutputError, match="no space left"):
        fill()
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


def test_full_disk_met_by_a_writer_of_its_own(tmp_path: Path) -> None:
    """FFmpeg's muxers open the path themselves; their ENOSPC still becomes an OutputError."""

    def fill() -> None:
        with OutputFile(tmp_path / "out.mp4"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OutputError, match=r"out\.mp4.*no space left"):
        fill()
    assert names(tmp_path) == []


def test_space_that_is_not_there_is_refused_early(tmp_path: Path) -> None:
    with OutputFile(tmp_path / "out.y4m") as output:
        output.require_space(1, "a byte")
        with pytest.raises(OutputError, match="MB free"):
            output.require_space(1 << 62, "the decoded video")


def test_closed_pipe_has_its_own_error() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with open(write_end, "wb", buffering=0) as file, pytest.raises(OutputClosed):
        CheckedFile(file, "-").write(b"x")


def test_checked_file_writes_all_that_a_pipe_takes_in_parts() -> None:
    class Reluctant:
        def __init__(self) -> None:
            self.data = b""

        def write(self, data: memoryview) -> int:
            self.data += bytes(data[:3])
            return min(3, len(data))

    sink = Reluctant()
    file = CheckedFile(sink, "sink")  # type: ignore[arg-type]
    assert file.write(b"0123456789") == 10
    assert sink.data == b"0123456789"
    assert file.bytes_written == 10


def test_a_resumable_run_takes_the_scratch_file_of_a_killed_one(tmp_path: Path) -> None:
    left = tmp_path / ".x.stp.partial.sidecar"
    left.write_bytes(b"of a killed run")
    with OutputFile(tmp_path / "x.stp", resumable=True) as output:
        scratch, another = output.scratch(".sidecar"), output.scratch(".sidecar")
        assert scratch == left
        assert scratch.read_bytes() == b""
        assert another != scratch
        output.file().write(b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["x.stp"]
