"""Segments as tasks of a local Ray cluster of several processes: the same file, also when a worker is killed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stpcodec.codec.encoder import encode
from stpcodec.codec.events import Progress
from stpcodec.codec.qualities import Qualities
from stpcodec.codec.ray_farm import RayFarm
from stpcodec.container import StpReader
from stpcodec.errors import ModelError, StpError, UsageError
from tests.cli.conftest import Run
from tests.cli.conftest import run as run  # a fixture
from tests.codec.clips import pictures, write_sound, write_video

pytest.importorskip("ray", reason="the extra `ray` is not installed")

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds the workers in /proc"),
    pytest.mark.filterwarnings("ignore"),  # of Ray
    pytest.mark.timeout(600),  # every worker loads torch, on a busy machine for a minute
]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 frames with sound; in segments of 20, six tasks of some tenths of a second."""
    frames = pictures(120, height=144, width=176, cut_at=50)
    return write_video(tmp_path_factory.mktemp("ray") / "in.mkv", frames, sound=True)


@pytest.fixture(scope="module")
def farm() -> Iterator[RayFarm]:
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")
    with RayFarm(workers=2) as farm:
        yield farm


def encoded(source: Path, target: Path, farm: RayFarm | None = None, **options: object) -> bytes:
    encode(source, target, model="dct", segment_frames=20, threads=1, jobs=1, farm=farm, **options)  # type: ignore[arg-type]
    return target.read_bytes()


def workers() -> list[int]:
    """Processes of ours, or of theirs, that code a segment now: Ray names them by their task."""
    parents, coding = dict[int, int](), list[int]()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name = (folder / "cmdline").read_bytes()
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended meanwhile
            continue
        if name.startswith(b"ray::encode_segment"):
            coding.append(int(folder.name))

    def ours(pid: int) -> bool:
        while pid > 1:
            if pid == os.getpid():
                return True
            pid = parents.get(pid, 0)
        return False

    return [pid for pid in coding if ours(pid)]


def test_the_file_is_that_of_one_process(source: Path, tmp_path: Path, farm: RayFarm) -> None:
    assert farm.capacity == 2
    alone = encoded(source, tmp_path / "alone.stp")
    assert encoded(source, tmp_path / "ray.stp", farm) == alone
    with StpReader(tmp_path / "ray.stp") as stream:
        assert len(stream.segments) == 7


def test_qualities_travel(source: Path, tmp_path: Path, farm: RayFarm) -> None:
    qualities = Qualities(40.4, {20: 22.5})
    alone = encoded(source, tmp_path / "alone.stp", quality=qualities)
    assert encoded(source, tmp_path / "ray.stp", farm, quality=qualities) == alone


def test_a_lost_worker_is_made_up_for(source: Path, tmp_path: Path, farm: RayFarm) -> None:
    killed: list[int] = []

    def kill_one(event: Progress) -> None:
        if event.frames_done and not killed and (found := workers()):
            os.kill(found[0], signal.SIGKILL)
            killed.append(found[0])

    alone = encoded(source, tmp_path / "alone.stp")
    assert encoded(source, tmp_path / "ray.stp", farm, progress=kill_one) == alone
    assert killed, "no worker was at work while the encode looked"


def test_what_a_worker_raises_is_raised(source: Path, tmp_path: Path, farm: RayFarm) -> None:
    with pytest.raises(ModelError):
        encode(source, tmp_path / "x.stp", model="dct", model_dir=tmp_path, farm=_Elsewhere(farm))  # type: ignore[arg-type]
    assert not (tmp_path / "x.stp").exists()


class _Elsewhere:
    """Workers that have not the model."""

    def __init__(self, farm: RayFarm) -> None:
        self._farm = farm

    def segments(self, setup, write, tick):  # type: ignore[no-untyped-def]
        from dataclasses import replace

        return self._farm.segments(replace(setup, model="/nowhere/bogus.safetensors"), write, tick)


def test_a_batch(source: Path, tmp_path: Path, farm: RayFarm, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three good files and a broken one, in the cluster that runs."""
    import ray

    monkeypatch.setattr(ray, "init", lambda **_: None)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    videos, out = tmp_path / "videos", tmp_path / "out"
    videos.mkdir()
    for number in range(3):
        write_video(videos / f"{number}.mkv", pictures(30 + number), sound=True)
    write_sound(videos / "sound.mkv")
    options = ("--model", "dct", "--segment-frames", "20", "-r", videos, "--out-dir", out)
    outcome = run("batch", "--engine", "ray", *options)
    assert outcome.code == 3, outcome.err
    assert "4 files: 3 encoded, 1 failed" in outcome.err
    for number in range(3):
        encode(videos / f"{number}.mkv", tmp_path / "a.stp", model="dct", segment_frames=20, threads=1, overwrite=True)
        assert (out / f"{number}.stp").read_bytes() == (tmp_path / "a.stp").read_bytes()
    outcome = run("batch", "--engine", "ray", *options)
    assert "4 files: 0 encoded, 3 skipped, 1 failed" in outcome.err


def test_no_such_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="--workers"):
        RayFarm("127.0.0.1:1", workers=2)
    assert issubclass(UsageError, StpError)
