"""The program as a process: signals, closed pipes, pipes in both directions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stpcodec.cli.main import run
from tests.codec.clips import pictures, write_y4m, y4m

PROGRAM = [sys.executable, "-m", "stpcodec.cli.main"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(autouse=True)
def hears_sighup() -> Iterator[None]:
    """Under nohup the tests are deaf to it, and so would be what they start."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


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
    args = ["encode", str(source), str(folder / "x.stp"), "--model", "dct", "--segment-frames", "10", "-q"]
    assert run(args) == 0
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


def workers_of(process: subprocess.Popen[bytes]) -> list[int]:
    """Process ids of the two workers, once both are there."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
        if len(found) == 2:
            return [int(pid) for pid in found]
        time.sleep(0.02)
    raise TimeoutError("there are no two workers")


def gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if not any(_alive(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


def _alive(pid: int) -> bool:
    """Not so if it waits for a parent that never asks: in a container nobody may."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
    return bool(state.strip()) and not state.startswith("Z")


def encode_by_two_jobs(target: Path) -> subprocess.Popen[bytes]:
    """From a pipe that stalls, with the first segments written."""
    process = start("encode", "-", target, "--model", "dct", "--segment-frames", 4, "--jobs", 2, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(y4m(pictures(30)))
    process.stdin.flush()
    wait_for_temporary(target.parent)
    return process


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGKILL", -9)])
def test_workers_end_with_their_parent(name: str, code: int, tmp_path: Path) -> None:
    process = encode_by_two_jobs(tmp_path / "out.stp")
    workers = workers_of(process)
    process.send_signal(getattr(signal, name))
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert gone(workers)
    assert not (tmp_path / "out.stp").exists()
    if name != "SIGKILL":
        assert err == f"stpcodec: ended by {name}\n".encode()
        assert list(tmp_path.iterdir()) == []


def test_ctrl_c_reaches_the_whole_group_and_is_one_line(tmp_path: Path) -> None:
    """A terminal sends it to all processes of the group; workers that are just starting must not print a traceback."""
    process = subprocess.Popen(
        [*PROGRAM, "encode", "-", str(tmp_path / "out.stp"), "--model", "dct", "--segment-frames", "4", "--jobs", "2"],
        env=ENVIRONMENT, stdin=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(y4m(pictures(30)))
    process.stdin.flush()
    workers = workers_of(process)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, b"stpcodec: ended by SIGINT\n")
    assert gone(workers)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_worker_is_one_line(tmp_path: Path) -> None:
    process = encode_by_two_jobs(tmp_path / "out.stp")
    for worker in workers_of(process):
        os.kill(worker, signal.SIGKILL)
    _, err = process.communicate(y4m(pictures(30)).split(b"\n", 1)[1], timeout=60)
    assert process.returncode == 1
    assert err.startswith(b"stpcodec: error: a worker process was ended by SIGKILL")
    assert err.count(b"\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_signal_while_two_jobs_decode_leaves_nothing(long_stp: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "out.y4m"
    os.mkfifo(fifo)
    process = start("decode", long_stp, fifo, "--jobs", 2)
    reader = os.open(fifo, os.O_RDONLY)
    try:
        os.read(reader, 10)
        process.terminate()
        _, err = process.communicate(timeout=60)
    finally:
        os.close(reader)
    assert (process.returncode, err) == (143, b"stpcodec: ended by SIGTERM\n")


def test_a_closed_pipe_ends_two_jobs_quietly(long_stp: Path) -> None:
    with start("decode", long_stp, "-", "--jobs", 2) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 141


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
    with start("decode", long_stp, "-") as process:
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
