"""The program as a process: signals, closed pipes, pipes in both directions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stpcodec.cli.main import run
from tests.codec.clips import pictures, write_y4m, y4m

PROGRAM = [sys.executable, "-m", "stpcodec.cli.main"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def start(*args: object, **streams: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*PROGRAM, *map(str, args)],
        env=ENVIRONMENT,
        stdin=streams.get("stdin", subprocess.DEVNULL),
        stdout=streams.get("stdout", subprocess.PIPE),
        stderr=subprocess.PIPE,
    )


@pytest.fixture(scope="module")
def long_stp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More decoded bytes than any pipe buffers."""
    folder = tmp_path_factory.mktemp("long")
    source = write_y4m(folder / "in.y4m", pictures(40, height=96, width=128))
    assert run(["encode", str(source), str(folder / "x.stp"), "--model", "dct", "-q"]) == 0
    return folder / "x.stp"


def wait_for_temporary(folder: Path) -> None:
    """Until the program has begun to write a segment's worth of output."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if any(path.stat().st_size > 0 for path in folder.glob(".*.partial")):
            return
        time.sleep(0.02)
    raise TimeoutError("no temporary file appeared")


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_while_encoding_leaves_nothing(name: str, code: int, tmp_path: Path) -> None:
    """The source is a pipe that stalls: the program must get out of a read that never returns."""
    target = tmp_path / "out.stp"
    target.write_bytes(b"precious")
    process = start(
        "encode", "-", target, "--model", "dct", "--segment-frames", 4, "--overwrite", stdin=subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.write(y4m(pictures(30)))
    process.stdin.flush()
    wait_for_temporary(tmp_path)
    process.send_signal(getattr(signal, name))
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert b"Traceback" not in err
    assert b"Fatal" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["out.stp"]
    assert target.read_bytes() == b"precious"


def test_a_signal_while_decoding_leaves_nothing(long_stp: Path, tmp_path: Path) -> None:
    """The reader of a named pipe stalls: the program must get out of a write that never returns."""
    fifo = tmp_path / "out.y4m"
    os.mkfifo(fifo)
    process = start("decode", long_stp, fifo)
    reader = os.open(fifo, os.O_RDONLY)
    try:
        os.read(reader, 10)
        process.terminate()
        _, err = process.communicate(timeout=60)
    finally:
        os.close(reader)
    assert process.returncode == 143, err
    assert b"Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["out.y4m"]


def test_pipes_in_both_directions(tmp_path: Path) -> None:
    clip = y4m(pictures(6))
    first = subprocess.run(
        [*PROGRAM, "encode", "-", "-", "--model", "dct", "--quality", "90"],
        input=clip, capture_output=True, env=ENVIRONMENT,
    )  # fmt: skip
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith(b"\x89STP")
    (tmp_path / "x.stp").write_bytes(first.stdout)
    second = subprocess.run([*PROGRAM, "decode", tmp_path / "x.stp", "-"], capture_output=True, env=ENVIRONMENT)
    assert second.returncode == 0, second.stderr
    assert second.stdout.startswith(b"YUV4MPEG2 W64 H48 F25:1")
    assert len(second.stdout) >= 6 * 64 * 48 * 3 // 2


def test_a_closed_pipe_is_no_drama(long_stp: Path) -> None:
    process = start("decode", long_stp, "-")
    assert process.stdout is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    assert process.wait(timeout=60) == 141
    assert err == b""


def test_a_full_device(stp: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    with open("/dev/full", "wb") as full:
        result = subprocess.run([*PROGRAM, "decode", stp, "-"], stdout=full, stderr=subprocess.PIPE, env=ENVIRONMENT)
    assert result.returncode == 5
    assert result.stderr.splitlines()[-1].startswith(b"stpcodec: error: ")
    assert b"no space left" in result.stderr
