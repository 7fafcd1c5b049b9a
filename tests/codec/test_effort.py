"""The search of --effort: what it tries, what it keeps, and that its files are like any others."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stpcodec.codec.choices import USUAL, Choices
from stpcodec.codec.decoder import decode
from stpcodec.codec.effort import LADDERS, PASSES, Trial, best, decibels
from stpcodec.codec.encoder import encode
from stpcodec.container import Chunk, Segment, StpReader
from stpcodec.errors import UsageError
from stpcodec.model.planes import Planes
from tests.codec.clips import pictures, write_video

NOTHING = Segment(
    first_frame=0, pts=(0,), durations=None, chunks=(Chunk(frame_count=1, streams=(b"",)),), latents_hash=bytes(16)
)  # fmt: skip
QUALITIES_PER_DB = 8.0


def rung(rungs: tuple[float, ...], value: float) -> int:
    """The nearest: better latents come with a caution between two of them."""
    return min(range(len(rungs)), key=lambda number: abs(rungs[number] - value))


class Landscape:
    """Trials whose curve moves by `gain` (choices -> ln(bytes) at equal PSNR) and by half a decibel a rung of bonus."""

    def __init__(self, wanted: dict[str, float]) -> None:
        self.wanted = wanted
        self.seen: list[tuple[Choices, int]] = []

    def __call__(self, choices: Choices, raised: int) -> Trial:
        self.seen.append((choices, raised))
        worse = sum(
            0.03 * abs(rung(rungs, getattr(choices, name)) - rungs.index(self.wanted.get(name, getattr(USUAL, name))))
            for name, rungs in LADDERS
        )
        db = 40 + raised / QUALITIES_PER_DB + 0.5 * (choices.intra_bonus - USUAL.intra_bonus) / 8
        size = math.exp(math.log(100_000) + 0.2 * (db - 40) + worse)
        return Trial(choices, NOTHING, round(size), db)


def test_every_ladder_has_the_usual_choice() -> None:
    for name, rungs in LADDERS:
        assert getattr(USUAL, name) in rungs
        assert list(rungs) == sorted(rungs)


@pytest.mark.parametrize("wanted", [{}, {"intra_bonus": 42}, {"motion_caution": 0.5, "spread": 1.5}, {"joining": 0.0}])
def test_the_best_rungs_are_found_and_the_quality_is_that_of_the_usual_ones(wanted: dict[str, float]) -> None:
    trial = Landscape(wanted)
    usual = trial(USUAL, 0)
    kept = best(usual, trial, raised=6, passes=31, rounds=0)
    assert {name: getattr(kept.choices, name) for name in wanted} == wanted
    assert abs(kept.psnr_db - usual.psnr_db) <= 0.5 / QUALITIES_PER_DB + 1e-9
    assert (kept.coded_bytes < usual.coded_bytes) == bool(wanted)


@pytest.mark.parametrize("passes", [*PASSES[2:]])
def test_it_takes_at_most_the_passes_it_is_given(passes: int) -> None:
    trial = Landscape({"intra_bonus": 50, "caution": 1.6})
    usual = trial(USUAL, 0)
    best(usual, trial, raised=6, passes=passes, rounds=1)
    assert len(trial.seen) - 1 <= passes


def test_better_latents_are_tried_last_and_kept_where_they_pay() -> None:
    class Refined(Landscape):
        def __call__(self, choices: Choices, raised: int) -> Trial:
            usual = replace(choices, rounds=0, caution=USUAL.caution)
            found = super().__call__(usual, raised)
            self.seen[-1] = choices, raised
            if not choices.rounds:
                return found
            size = round(found.coded_bytes * self.factor)
            return replace(found, choices=choices, coded_bytes=size, psnr_db=found.psnr_db + 0.5)

        factor = 1.0

    for factor, kept_rounds in ((1.02, 3), (1.3, 0)):  # half a decibel is worth a tenth here
        trial = Refined({"intra_bonus": 34})
        trial.factor = factor
        kept = best(trial(USUAL, 0), trial, raised=6, passes=9, rounds=3)
        assert kept.choices.rounds == kept_rounds
        assert kept.choices.intra_bonus == 34
        assert all(not choices.rounds for choices, _ in trial.seen[:-2])


def test_lengths_that_were_found_by_coding_are_kept_where_they_pay() -> None:
    for factor in (0.9, 1.1):
        landscape = Landscape({"joining": 0.0})

        def trial(choices: Choices, raised: int, landscape: Landscape = landscape, factor: float = factor) -> Trial:
            found = landscape(choices, raised)
            return replace(found, coded_bytes=round(found.coded_bytes * factor)) if choices.lengths else found

        kept = best(trial(USUAL, 0), trial, raised=6, passes=20, rounds=1, lengths=lambda: (1, 4, 4))
        assert kept.choices.lengths == ((1, 4, 4) if factor < 1 else ())
        # The planner's thresholds mean nothing to given lengths.
        assert (kept.choices.joining == USUAL.joining) == (factor < 1)


def test_files_have_chunks_of_the_lengths_that_were_found(
    clip: Path, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stpcodec.codec.segments.coded_lengths", lambda codec, parts, quality: (1, 3, 2))
    monkeypatch.setattr(
        "stpcodec.codec.effort.best",
        lambda usual, trial, *, lengths, **rest: trial(replace(USUAL, lengths=lengths()), 0),
    )
    encode(clip, tmp_path / "x.stp", model=str(tiny_weights), effort=6, segment_frames=6, jobs=1, device="cpu")
    with StpReader(tmp_path / "x.stp") as stream:
        assert [chunk.frame_count for chunk in stream.read_segment(0).chunks] == [1, 3, 2]


def test_where_a_decibel_cannot_be_had_nothing_is_divided_by_it() -> None:
    def flat(choices: Choices, raised: int) -> Trial:
        return Trial(choices, NOTHING, 1000 if choices == USUAL else 900, 100.0)

    assert best(flat(USUAL, 0), flat, raised=6, passes=4, rounds=1).coded_bytes == 900


def test_decibels_weigh_the_planes_6_1_1() -> None:
    planes = Planes(torch.zeros(2, 32, 32), torch.zeros(2, 16, 16), torch.zeros(2, 16, 16))
    off = Planes(planes.y + 0.01, planes.u + 0.1, planes.v + 1.0)
    assert decibels([planes], [off]) == pytest.approx([(6 * 40 + 20 + 0) / 8] * 2)
    # Of two tiles the errors are added up, not the decibels.
    assert decibels([planes, planes], [off, planes])[0] == pytest.approx((6 * 40 + 20 + 0) / 8 + 10 * math.log10(2))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = pictures(10, cut_at=6)
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mkv", frames, codec="ffv1")


def test_files_decode_and_do_not_depend_on_jobs(clip: Path, tiny_weights: Path, tmp_path: Path) -> None:
    for jobs in (1, 2):
        encode(
            clip, tmp_path / f"{jobs}.stp", model=str(tiny_weights), effort=3, segment_frames=6, jobs=jobs, verify=True,
            device="cpu",
        )  # fmt: skip
    assert (tmp_path / "1.stp").read_bytes() == (tmp_path / "2.stp").read_bytes()
    encode(clip, tmp_path / "usual.stp", model=str(tiny_weights), segment_frames=6, device="cpu")
    assert (tmp_path / "usual.stp").read_bytes() != (tmp_path / "1.stp").read_bytes()
    report = decode(tmp_path / "1.stp", tmp_path / "1.y4m", model=str(tiny_weights), device="cpu")
    assert report.frames == 10


def test_effort_1_is_the_usual_and_0_is_quicker(clip: Path, tiny_weights: Path, tmp_path: Path) -> None:
    choices: dict[str, dict[str, int]] = {"usual": {}, "1": {"effort": 1}, "0": {"effort": 0}}
    for name, options in (choices | {"0-again": {"effort": 0, "jobs": 2}}).items():
        target = tmp_path / f"{name}.stp"
        encode(clip, target, model=str(tiny_weights), segment_frames=6, verify=True, device="cpu", **options)
    coded = {path.stem: path.read_bytes() for path in tmp_path.glob("*.stp")}
    assert coded["usual"] == coded["1"] != coded["0"] == coded["0-again"]
    encode(clip, tmp_path / "x.stp", model="dct", effort=0, device="cpu")


def test_a_model_that_has_nothing_to_choose_is_refused(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"effort 2: the encoder of model dct .* leave it out"):
        encode(clip, tmp_path / "x.stp", model="dct", effort=2, device="cpu")
    assert not (tmp_path / "x.stp").exists()


@pytest.mark.parametrize("effort", [-1, 10])
def test_efforts_are_0_to_9(clip: Path, tmp_path: Path, effort: int) -> None:
    with pytest.raises(UsageError, match=f"effort {effort}: must be 0 to 9"):
        encode(clip, tmp_path / "x.stp", effort=effort)
