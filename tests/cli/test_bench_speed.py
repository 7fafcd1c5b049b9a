"""`stpcodec bench speed` on a tiny clip: every codec and stage is there, as text and as objects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stpcodec.codec import crew
from stpcodec.codec.worker import Setup
from stpcodec.evaluation import speed
from stpcodec.evaluation.contenders import Ours
from tests.cli.conftest import Run
from tests.cli.test_json import objects
from tests.codec.clips import pictures, write_video


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("speed") / "small.mkv", pictures(9, height=48, width=64))


def test_codecs_stages_and_macs(small: Path, tiny_weights: Path, run: Run) -> None:
    outcome = run(
        "bench", "speed", small, "--models", tiny_weights, "--anchors", "x264", "--frames", 6,
        "--repetitions", 2, "--threads", 1, "--json",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    found = objects(outcome, "bench-speed")
    speeds = {item["codec"]: item for item in found if item["type"] == "speed"}
    name = tiny_weights.stem
    assert list(speeds) == [name, "x264"]
    for item in speeds.values():
        assert (item["frames"], item["width"], item["height"], item["threads"]) == (6, 64, 48, 1)
        assert item["coded_bytes"] > 100
        for run_name in ("encode", "decode_null", "decode_y4m"):
            seconds = item[f"{run_name}_seconds"]
            assert len(seconds) == 2
            assert item[f"{run_name}_frames_per_second"] == pytest.approx(6 / (sum(seconds) / 2), rel=0.05)
    # Other codecs' processes have no torch in them.
    assert speeds["x264"]["encode_peak_bytes"] < speeds[name]["encode_peak_bytes"] / 2
    assert speeds["x264"]["decode_peak_bytes"] > 10e6
    stages = [item for item in found if item["type"] == "stage"]
    assert {(item["codec"], item["direction"]) for item in stages} == {(name, "encode"), (name, "decode")}
    parts = {item["name"] for item in found if item["type"] == "macs"}
    assert {"intra prior", "inter context", "inter synthesis"} <= parts
    assert {item["codec"] for item in found if item["type"] == "macs"} == {name}
    for word in (*speeds, "entropy coding", "inter synthesis", "round 2 of 2"):
        assert word in outcome.err


@pytest.mark.usefixtures("quick_workers")
def test_jobs_share_the_threads_and_code_the_same(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Setup] = []
    hire = crew.Crew.__init__

    def counted(self: crew.Crew, setup: Setup, count: int, *args: Any) -> None:
        begun.extend([setup] * count)
        hire(self, setup, count, *args)

    monkeypatch.setattr(crew.Crew, "__init__", counted)
    one, two = Ours("dct", 50, "cpu", 2), Ours("dct", 50, "cpu", 2, jobs=2)
    assert (one.setting, two.setting) == ("quality 50", "quality 50, 2 jobs")
    for ours in (one, two):
        ours.encode(small, tmp_path / f"{ours.jobs}.stp")
        ours.decode(tmp_path / f"{ours.jobs}.stp", tmp_path / f"{ours.jobs}.y4m")
        ours.decode(tmp_path / f"{ours.jobs}.stp", None)
        assert [setup.threads for setup in begun] == [1] * 6 * (ours.jobs - 1)
    for suffix in ("stp", "y4m"):
        assert (tmp_path / f"1.{suffix}").read_bytes() == (tmp_path / f"2.{suffix}").read_bytes()


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("speed", "missing.mkv"), 3, "missing.mkv: no such file"),
        (("speed", "{clip}", "--models", "", "--anchors", ""), 2, "no codec to measure"),
        (("speed", "{clip}", "--anchors", "vvenc"), 2, "vvenc is another program"),
        (("speed", "{clip}", "--anchors", "divx"), 2, "divx"),
        (("speed", "{clip}", "--jobs", "3", "--threads", "2"), 2, "--jobs 3: there are 2 threads to share"),
        (("speed", "{clip}", "--jobs", "0"), 2, "--jobs"),
        (("./speed", "--anchors", ""), 3, "speed: no such file"),  # a clip of `bench`
    ],
)
def test_what_is_refused(small: Path, run: Run, args: tuple[str, ...], code: int, said: str) -> None:
    outcome = run("bench", *(arg.format(clip=small) for arg in args))
    assert outcome.code == code
    assert said in outcome.err


def test_words_and_hyphen_are_the_same_verb(run: Run) -> None:
    for words in (("bench", "speed"), ("bench-speed",), ("train", "plot")):
        help_text = run(*words, "--help")
        assert help_text.code == 0
        assert f"stpcodec {'-'.join(words)} " in help_text.out


def test_errors_of_its_processes_are_objects(small: Path, run: Run) -> None:
    outcome = run("bench", "speed", small, "--models", "bogus", "--anchors", "", "--json")
    error, summary = map(json.loads, outcome.out.splitlines())
    assert (error["type"], error["exit_code"], summary["exit_code"]) == ("error", 6, 6)
    assert "bogus" in error["message"]


def test_a_fixed_transform_has_no_macs() -> None:
    assert speed._macs(Ours("dct", 50, "cpu", 1), 48, 64) == ()
