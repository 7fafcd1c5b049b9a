from __future__ import annotations

from pathlib import Path

import av
import pytest

from stpcodec.video.reader import VideoReader
from tests.cli.conftest import Run


def times(path: Path) -> list[float]:
    with VideoReader(path) as reader:
        return [float(frame.pts * reader.info.time_base) for frame in reader]


@pytest.mark.parametrize("suffix", [".y4m", ".mkv", ".mp4", ".mov"])
def test_decodes_by_the_name_of_the_output(stp: Path, tmp_path: Path, run: Run, suffix: str) -> None:
    target = tmp_path / f"out{suffix}"
    outcome = run("decode", stp, target, "-q")
    assert outcome.code == 0, outcome.err
    assert outcome.out == ""
    assert times(target) == pytest.approx([0.04 * index for index in range(12)], abs=1e-3)
    if suffix == ".y4m":
        assert "y4m cannot hold" in outcome.err
    else:
        with av.open(str(target)) as container:
            assert len(container.streams.audio) == 1


def test_other_encoders_and_their_options(stp: Path, tmp_path: Path, run: Run) -> None:
    assert run("decode", stp, tmp_path / "a.mkv", "--vcodec", "ffv1").code == 0
    assert run("decode", stp, tmp_path / "fine.mkv", "--crf", "1", "--preset", "ultrafast").code == 0
    assert run("decode", stp, tmp_path / "coarse.mkv", "--crf", "40", "--preset", "ultrafast").code == 0
    with av.open(str(tmp_path / "a.mkv")) as container:
        assert container.streams.video[0].codec_context.name == "ffv1"
    assert (tmp_path / "fine.mkv").stat().st_size > (tmp_path / "coarse.mkv").stat().st_size


def test_a_span_with_its_sound(stp: Path, tmp_path: Path, run: Run) -> None:
    outcome = run("decode", stp, tmp_path / "a.mkv", "--start", "0.2", "--end", "0.32", "-v")
    assert outcome.code == 0, outcome.err
    assert "1 segments decoded" in outcome.err
    assert times(tmp_path / "a.mkv") == pytest.approx([0, 0.04, 0.08], abs=1e-3)
    with av.open(str(tmp_path / "a.mkv")) as container:
        sound = [float(p.pts * p.time_base) for p in container.demux(audio=0) if p.size and p.pts is not None]
    assert sound
    assert max(sound) < 0.2


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("out.txt",), 2, "no video format"),
        (("out.mkv", "--vcodec", "bogus"), 2, "bogus"),
        (("out.y4m", "--vcodec", "ffv1"), 2, "y4m"),
        (("out.mkv", "--start", "9"), 2, "no frame"),
        (("out.mkv", "--start", "0.3", "--end", "0.2"), 2, "no frame"),
        (("missing/out.mkv",), 5, "does not exist"),
    ],
)
def test_impossible_requests(stp: Path, tmp_path: Path, run: Run, args: tuple[str, ...], code: int, words: str) -> None:
    outcome = run("decode", stp, tmp_path / args[0], *args[1:])
    assert outcome.code == code
    assert outcome.err.count("\n") == 1
    assert words in outcome.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("quick_workers")
def test_jobs_change_nothing_but_the_time(stp: Path, tmp_path: Path, run: Run) -> None:
    for jobs in ("1", "2"):
        outcome = run("decode", stp, tmp_path / f"{jobs}.y4m", "--jobs", jobs, "-v")
        assert outcome.code == 0, outcome.err
        assert f"3 segments decoded, {jobs} jobs" in outcome.err
    assert (tmp_path / "1.y4m").read_bytes() == (tmp_path / "2.y4m").read_bytes()
