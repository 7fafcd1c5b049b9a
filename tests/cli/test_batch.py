"""Several files with one command: the good ones done, the bad ones named, nothing lost, and going on after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stpcodec.cli import coding
from stpcodec.cli.journal import NAME
from stpcodec.codec import models
from stpcodec.container import StpReader
from tests.cli.conftest import Run
from tests.codec.clips import pictures, write_sound, write_video, write_y4m
from tests.codec.damage import cut_behind, flip_segment

FAST = ("--model", "dct")


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Three good videos, one of them in a folder below, and three that are none."""
    folder = tmp_path / "videos"
    (folder / "below").mkdir(parents=True)
    write_video(folder / "a.mkv", pictures(6), sound=True)
    write_y4m(folder / "b.y4m", pictures(3, height=33, width=47))
    write_video(folder / "below/c.mkv", pictures(4, bit_depth=10))
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.avi").write_text("no video at all")
    write_sound(folder / "sound.mkv")
    (folder / "notes.txt").write_text("not looked at")
    (folder / ".hidden.mkv").write_bytes(b"not looked at")
    return folder


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_good_files_are_encoded_and_bad_ones_listed(videos: Path, tmp_path: Path, run: Run) -> None:
    before = {path: path.read_bytes() for path in videos.rglob("*") if path.is_file()}
    outcome = run("encode", "-r", videos, "--out-dir", tmp_path / "out", *FAST)
    assert outcome.code == 3
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    lines = outcome.err.splitlines()
    assert any(line.startswith("6 files: 3 encoded, 3 failed; ") and line.endswith(", 13 frames") for line in lines)
    listed = [line for line in lines if line.startswith("failed: ")]
    assert [line.split(": ")[1] for line in listed] == [str(videos / n) for n in ("empty.mp4", "sound.mkv", "text.avi")]
    assert lines[-1].startswith("stpcodec: error: 3 of 6 files failed: ")
    assert names(tmp_path / "out") == [NAME, "a.stp", "b.stp", "below/c.stp"]
    assert before == {path: path.read_bytes() for path in videos.rglob("*") if path.is_file()}
    assert run("verify", "--deep", "-r", tmp_path / "out").code == 0


@pytest.mark.usefixtures("quick_workers")
def test_jobs_are_those_of_each_file(tmp_path: Path, run: Run) -> None:
    source, out = write_y4m(tmp_path / "in.y4m", pictures(8)), tmp_path / "out"
    args = ("encode", source, "--out-dir", out, *FAST, "--segment-frames", "4", "--jobs", "2", "--json")
    for target in ((), ("--target-size", "1MB")):
        file = json.loads(run(*args, *target, "--overwrite").out.splitlines()[0])
        assert (file["status"], file["segments"], file["jobs"]) == ("done", 2, 2), file
    args = ("decode", out / "in.stp", "--out-dir", out, "--to", "y4m", "--jobs", "2", "--json")
    file = json.loads(run(*args).out.splitlines()[0])
    assert (file["status"], file["segments"], file["jobs"]) == ("done", 2, 2), file


def test_the_same_command_goes_on_with_what_failed(videos: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "out"
    assert run("encode", "-r", videos, "--out-dir", out, *FAST).code == 3
    times = {name: (out / name).stat().st_mtime_ns for name in ("a.stp", "b.stp", "below/c.stp")}
    for name in ("empty.mp4", "text.avi", "sound.mkv"):
        (videos / name).unlink()
    write_video(videos / "text.avi", pictures(2), codec="mpeg4")
    outcome = run("encode", "-r", videos, "--out-dir", out, *FAST)
    assert outcome.code == 0, outcome.err
    assert "4 files: 1 encoded, 3 skipped" in outcome.err
    assert {name: (out / name).stat().st_mtime_ns for name in times} == times
    assert NAME not in names(out)


def test_what_is_there_is_refused_or_skipped_but_not_replaced(videos: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.stp").write_bytes(b"mine")
    files = (videos / "a.mkv", videos / "b.y4m")
    outcome = run("encode", *files, "--out-dir", out, *FAST)
    assert outcome.code == 2
    assert "exists already" in outcome.err
    assert (out / "a.stp").read_bytes() == b"mine"
    (out / "b.stp").unlink()
    outcome = run("encode", *files, "--out-dir", out, "--skip-existing", *FAST)
    assert outcome.code == 0
    assert "1 encoded, 1 skipped" in outcome.err
    assert (out / "a.stp").read_bytes() == b"mine"
    assert run("encode", *files, "--out-dir", out, "--overwrite", *FAST).code == 0
    assert (out / "a.stp").read_bytes() != b"mine"


def test_a_journal_of_other_options_or_another_source_counts_for_nothing(
    videos: Path, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "out"
    files = (videos / "a.mkv", videos / "text.avi")
    assert run("encode", *files, "--out-dir", out, *FAST).code == 3
    assert "a.stp: exists already" in run("encode", *files, "--out-dir", out, *FAST, "--quality", "60").err
    write_video(videos / "a.mkv", pictures(7))
    assert "a.stp: exists already" in run("encode", *files, "--out-dir", out, *FAST).err
    with (out / NAME).open("a") as file:
        file.write('{"torn": ')
    (out / "a.stp").unlink()
    assert "1 encoded" in run("encode", *files, "--out-dir", out, *FAST).err


def test_a_kill_between_the_two_names_of_an_output_leaves_one(videos: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "out"
    files = (videos / "a.mkv", videos / "text.avi")
    assert run("encode", *files, "--out-dir", out, *FAST).code == 3
    lines = (out / NAME).read_text().splitlines()
    (out / NAME).write_text("\n".join(line for line in lines if '"done"' not in line) + "\n")
    os.link(out / "a.stp", out / ".a.stp.partial")
    (out / ".b.stp.partial").write_bytes(b"")  # killed before its first byte: nothing to resume, no warning
    outcome = run("encode", *files, videos / "b.y4m", "--out-dir", out, *FAST)
    assert "1 encoded, 1 skipped, 1 failed" in outcome.err
    assert "warning" not in outcome.err
    assert names(out) == [NAME, "a.stp", "b.stp"]


def test_two_inputs_for_one_output(videos: Path, tmp_path: Path, run: Run) -> None:
    write_y4m(videos / "a.y4m", pictures(2))
    outcome = run("encode", videos / "a.mkv", videos / "a.y4m", "--out-dir", tmp_path / "out", *FAST)
    assert outcome.code == 2
    assert "a.y4m: would be written to" in outcome.err
    with StpReader(tmp_path / "out/a.stp") as stream:
        assert stream.frame_count == 6


def test_outputs_beside_the_inputs(videos: Path, run: Run) -> None:
    for name in ("empty.mp4", "text.avi", "sound.mkv"):
        (videos / name).unlink()
    assert run("encode", "-r", videos, *FAST).code == 0
    assert {"a.stp", "b.stp", "below/c.stp"} <= set(names(videos))
    assert NAME not in names(videos)


def test_dry_run_writes_nothing(videos: Path, tmp_path: Path, run: Run) -> None:
    before = names(tmp_path)
    outcome = run("encode", "-r", videos, "--out-dir", tmp_path / "out", "--dry-run", *FAST)
    assert outcome.err.count("would be encoded to") == 6
    outcome = run("encode", videos / "a.mkv", tmp_path / "a.stp", "--dry-run")
    assert outcome.code == 0
    assert f"{videos / 'a.mkv'}: would be encoded to {tmp_path / 'a.stp'}" in outcome.err
    assert run("encode", videos / "missing.mkv", tmp_path / "a.stp", "--dry-run").code == 3
    assert names(tmp_path) == before
    assert not (tmp_path / "out").exists()


def test_the_model_is_loaded_once(videos: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[str | None] = []

    def count(model: str | None, **options: object) -> models.LoadedCodec:
        loads.append(model)
        return load(model, **options)  # type: ignore[arg-type]

    load = models.load_codec
    monkeypatch.setattr(models, "load_codec", count)
    out = tmp_path / "out"
    assert run("encode", videos / "a.mkv", videos / "b.y4m", "--out-dir", out, *FAST, "--rm").code == 0
    assert loads == ["dct"]
    assert run("verify", out / "a.stp", out / "b.stp").code == 0
    assert run("decode", out / "a.stp", out / "b.stp", "--out-dir", out, "--to", "mkv").code == 0
    assert loads == ["dct"] * 3


def test_rm_deletes_what_is_verified(videos: Path, tmp_path: Path, run: Run) -> None:
    outcome = run("encode", videos / "a.mkv", tmp_path / "a.stp", "--rm", *FAST)
    assert outcome.code == 0
    assert "deleted" in outcome.err
    assert not (videos / "a.mkv").exists()
    assert run("verify", "--deep", tmp_path / "a.stp").code == 0


def test_rm_keeps_what_is_not_certain(
    videos: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = videos / "cut.mkv"
    whole = write_video(tmp_path / "whole.mkv", pictures(50)).read_bytes()
    cut.write_bytes(whole[: len(whole) // 3])
    outcome = run("encode", cut, tmp_path / "cut.stp", "--rm", *FAST)
    assert "warning" in outcome.err
    assert "kept, because there were warnings" in outcome.err
    assert cut.exists()

    def tell_and_damage(session: object, target: str, done: object) -> None:
        flip_segment(Path(target), 0)

    monkeypatch.setattr(coding, "_tell", tell_and_damage)
    outcome = run("encode", videos / "a.mkv", tmp_path / "a.stp", "--rm", *FAST)
    assert outcome.code == 3
    assert (videos / "a.mkv").exists()
    assert run("encode", "-", tmp_path / "b.stp", "--rm").code == 2


def test_decoding_and_checking_several(stp: Path, tmp_path: Path, run: Run) -> None:
    folder = tmp_path / "coded"
    (folder / "below").mkdir(parents=True)
    for name in ("good.stp", "cut.stp", "flipped.stp", "below/good.stp"):
        (folder / name).write_bytes(stp.read_bytes())
    cut_behind(folder / "cut.stp", 0, extra=20)
    flip_segment(folder / "flipped.stp", 1)
    (folder / "text.stp").write_text("none")

    outcome = run("decode", "-r", folder, "--out-dir", tmp_path / "out", "--to", "y4m")
    assert outcome.code == 3
    assert names(tmp_path / "out") == [NAME, "below/good.y4m", "cut.y4m", "good.y4m"]
    assert "5 files: 3 decoded, 2 failed" in outcome.err

    outcome = run("verify", "-r", folder)
    assert outcome.code == 3
    assert outcome.out.count("intact, 12 frames") == 2
    assert "5 files: 2 intact, 3 failed" in outcome.err

    outcome = run("info", folder / "good.stp", folder / "text.stp", folder / "cut.stp")
    assert outcome.code == 3
    assert outcome.out.count("64x48, 8 bit") == 2


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("encode", "{v}/a.mkv", "{v}/b.y4m", "{t}/c.stp"), 2, "3 names; name IN and OUT"),
        (("encode", "{v}", "--out-dir", "{t}/out"), 2, "is a folder; add -r"),
        (("encode", "-r", "{v}/below", "{v}/a.mkv"), 2, "--out-dir"),
        (("encode", "-", "--out-dir", "{t}/out"), 2, "standard input"),
        (("encode", "{v}/a.mkv", "--out-dir", "{v}/b.y4m"), 5, "is not a folder"),
        (("decode", "-r", "{v}", "--out-dir", "{t}/out"), 3, "holds no file ending in .stp"),
        (("encode", "{v}/a.mkv", "-", "--json"), 2, "--json and the output -"),
        (("verify", "{v}"), 2, "add -r"),
        (("encode", "{v}/a.mkv", "{v}/b.y4m", "--overwrite"), 2, "--out-dir takes several inputs"),
        (("encode", "{v}/%02d.png", "{t}/out.stp", "--rm"), 2, "no single file"),
    ],
)
def test_wrong_usage_is_one_line(
    videos: Path, tmp_path: Path, run: Run, args: tuple[str, ...], code: int, said: str
) -> None:
    before = (videos / "b.y4m").read_bytes()
    outcome = run(*(arg.format(v=videos, t=tmp_path) for arg in args))
    assert (videos / "b.y4m").read_bytes() == before
    assert outcome.code == code
    assert outcome.err.count("\n") == 1
    assert said in outcome.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_batch_goes_on(tmp_path: Path, number: int, run: Run) -> None:
    folder, out = tmp_path / "videos", tmp_path / "out"
    folder.mkdir()
    for name in "abcd":
        write_video(folder / f"{name}.mkv", pictures(60, height=96, width=128))
    options = [*FAST, "--segment-frames", "8", "--threads", "1"]
    args = ["encode", "-r", str(folder), "--out-dir", str(out), *options]
    with subprocess.Popen([sys.executable, "-m", "stpcodec.cli.main", *args], stderr=subprocess.PIPE) as process:
        while not (out / "b.stp").exists():
            assert process.poll() is None
            time.sleep(0.002)
        os.kill(process.pid, number)
        said = process.communicate()[1].decode()
    assert process.returncode == (130 if number == signal.SIGINT else -9)
    if number == signal.SIGINT:
        assert "the same command goes on from here" in said
    made = {path.name: path.stat().st_mtime_ns for path in out.glob("*.stp")}
    assert 2 <= len(made) < 4
    again = run(*args, "--json")
    assert again.code == 0, again.err
    objects = [json.loads(line) for line in again.out.splitlines()]
    assert [o["status"] for o in objects if o["type"] == "file"] == ["skipped"] * len(made) + ["done"] * (4 - len(made))
    assert {name: (out / name).stat().st_mtime_ns for name in made} == made
    assert names(out) == ["a.stp", "b.stp", "c.stp", "d.stp"]
    assert run("encode", folder / "c.mkv", tmp_path / "c.stp", *options).code == 0
    assert (out / "c.stp").read_bytes() == (tmp_path / "c.stp").read_bytes()


def test_a_reader_that_goes_away_ends_it(stp: Path) -> None:
    program = f"{sys.executable} -m stpcodec.cli.main info --json {f'{stp} ' * 100}"
    command = f"{program} | head -c 10; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert result.returncode == 141
    assert "Traceback" not in result.stderr
    assert "failed" not in result.stderr
