"""BD-rate of a run from real bitstreams: in the log, reproducible, and without a say in what is learned."""

from __future__ import annotations

import builtins
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median

import numpy as np
import pytest
import torch

from stpcodec.errors import ModelError, OutputError, UsageError
from stpcodec.evaluation.bd_rate import bd_rate
from stpcodec.evaluation.held_out import code_pieces
from stpcodec.model.zoo import load_model, load_network
from stpcodec.training import coded_validation as module
from stpcodec.training.cache import ensure_cached, ensure_half, split_planes
from stpcodec.training.coded_validation import CodedValidation, Piece, held_out_pieces, middle_of
from stpcodec.training.options import TrainOptions
from stpcodec.training.validate import Validation
from stpcodec.video.frames import Frame
from tests.codec.clips import pictures
from tests.training.material import write_clip
from tests.training.test_train import rows, run, state_of

CPU = torch.device("cpu")


def nothing(*_: object) -> None:
    pass


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of three frames, and tables counted on little."""
    monkeypatch.setattr(module, "FRAMES", 3)
    monkeypatch.setattr(module, "BATCHES", 1)


class Score:
    def validate(self, network: torch.nn.Module) -> Validation:
        return Validation(-1.0, {"q15_intra_bpp": 0.5})


def frames_of(count: int) -> tuple[Frame, ...]:
    return tuple(Frame(*planes, pts=n) for n, planes in enumerate(pictures(count, height=48, width=64)))


def validation(tmp_path: Path, weights: Path, *pieces: Piece, said: list[str] | None = None) -> CodedValidation:
    """By the weights themselves, whatever the network."""
    say = nothing if said is None else said.append
    return CodedValidation(Score(), pieces, lambda network, folder: weights, tmp_path, CPU, say, nothing)


def test_figures_are_those_of_the_curves(tmp_path: Path, tiny_weights: Path) -> None:
    model = load_model(tiny_weights, device=CPU)
    parts, expected = [], []
    for count, factor in ((4, 0.5), (1, 2.0), (2, 1.25)):
        frames = frames_of(count)
        coded = [code_pieces(model, [frames], quality) for quality in module.QUALITIES]
        ours = [(point.coded_bytes, point.psnr_db) for point in coded]
        other = tuple((round(size * factor), db) for size, db in ours)
        parts.append(Piece("piece", frames, other))
        expected.append(bd_rate(other, ours).percent)
    assert expected == pytest.approx([100, -50, -20], abs=0.5), "half, double and 5/4 of our bytes"
    result = validation(tmp_path, tiny_weights, *parts).validate(load_network(str(tiny_weights)))
    assert result.score == -1.0
    assert result.figures == pytest.approx(
        {"q15_intra_bpp": 0.5, "bd_x264_mean": fmean(expected), "bd_x264_median": median(expected), "bd_x264_pieces": 3}
    )
    assert list(tmp_path.iterdir()) == [], "the weights are gone again"


def test_a_piece_without_a_common_quality_counts_for_nothing(tmp_path: Path, tiny_weights: Path) -> None:
    far = Piece("far", frames_of(1), ((10, 90.0), (20, 95.0)))
    network = load_network(str(tiny_weights))
    result = validation(tmp_path, tiny_weights, far).validate(network)
    assert result.figures == {"q15_intra_bpp": 0.5, "bd_x264_pieces": 0.0}
    near = Piece("near", frames_of(1), ((1, 10.0), (10**6, 99.0)))
    both = validation(tmp_path, tiny_weights, far, near).validate(network)
    assert both.figures["bd_x264_pieces"] == 1.0


def test_a_model_that_cannot_code_is_said_and_ends_nothing(tmp_path: Path, tiny_weights: Path) -> None:
    def cannot(network: torch.nn.Module, folder: Path) -> Path:
        raise ModelError("the prior could overflow")

    said: list[str] = []
    network = load_network(str(tiny_weights)).train()
    broken = replace(validation(tmp_path, tiny_weights, Piece("p", frames_of(1), ()), said=said), write=cannot)
    assert broken.validate(network).figures == {"q15_intra_bpp": 0.5}
    assert said == ["no BD-rate at this validation: the prior could overflow"]
    assert network.training


def test_it_draws_nothing_that_a_run_would_miss(tmp_path: Path, tiny_weights: Path) -> None:
    coded = validation(tmp_path, tiny_weights, Piece("p", frames_of(2), ((1, 20.0), (10**6, 99.0))))
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    coded.validate(load_network(str(tiny_weights)))
    torch.manual_seed(3)
    network = load_network(str(tiny_weights))  # draws before it reads
    before = torch.get_rng_state()
    coded.validate(network)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(4), expected)


def test_what_it_draws_is_the_same_every_time(tmp_path: Path, tiny_weights: Path) -> None:
    drawn: list[float] = []

    def write(network: torch.nn.Module, folder: Path) -> Path:
        drawn.append(float(torch.rand(())))
        return tiny_weights

    coded = replace(validation(tmp_path, tiny_weights, Piece("p", frames_of(1), ((1, 20.0), (9, 99.0)))), write=write)
    for _ in range(2):
        torch.rand(3)
        coded.validate(load_network(str(tiny_weights)))
    assert drawn[0] == drawn[1]


def test_it_can_be_interrupted_between_two_encodes(tmp_path: Path, tiny_weights: Path) -> None:
    calls: list[int] = []

    def poll() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    coded = replace(validation(tmp_path, tiny_weights, Piece("p", frames_of(1), ((1, 20.0), (9, 99.0)))), poll=poll)
    with pytest.raises(KeyboardInterrupt):
        coded.validate(load_network(str(tiny_weights)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("small", "brief")
def test_a_run_has_it_in_every_row_and_learns_the_same(videos: Path, options: TrainOptions, tmp_path: Path) -> None:
    run(videos, options)
    coded = replace(options, run=tmp_path / "coded", bd_pieces=2)
    _, said = run(videos, coded)
    figures = [(float(row["bd_x264_pieces"]), row.get("bd_x264_mean", "")) for row in rows(coded)]
    assert len(figures) == 2
    assert all(count == 1 for count, _ in figures), "one video is held out"
    assert all(-100 < float(mean) < 10_000 for _, mean in figures)
    assert any("bd_x264_mean" in line for line in said)
    assert not any(key.startswith("bd_") for key in rows(options)[0])
    assert state_of(coded).step == state_of(options).step
    for name in ("network", "average"):
        pairs = zip(
            getattr(state_of(coded), name).parameters(), getattr(state_of(options), name).parameters(), strict=True
        )
        assert all(torch.equal(one, two) for one, two in pairs), name
    assert [float(row["score"]) for row in rows(coded)] == [float(row["score"]) for row in rows(options)]
    assert sorted(path.name for path in coded.run.iterdir() if path.is_dir()) == []
    again = replace(coded, run=tmp_path / "again")
    run(videos, again)
    assert [row["bd_x264_mean"] for row in rows(again)] == [row["bd_x264_mean"] for row in rows(coded)]


@pytest.mark.usefixtures("small", "brief")
def test_a_run_that_was_without_goes_on_with_it(videos: Path, options: TrainOptions) -> None:
    run(videos, options)
    run(videos, replace(options, bd_pieces=1))
    found = [row["bd_x264_pieces"] for row in rows(options)]
    assert found[:2] == ["", ""]
    assert set(found[2:]) == {"1"}


@pytest.mark.usefixtures("small", "brief")
def test_encodes_of_the_start_are_validated_with_its_tables(
    videos: Path, options: TrainOptions, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is counted, and before a step has been made files are those of the start."""
    write_clip(tmp_path / "videos/train/long.mp4", count=12, seed=1)
    write_clip(tmp_path / "videos/held-out/long.mp4", count=12, seed=2)
    monkeypatch.setattr(module, "count_symbols", None)
    chained = replace(
        options, run=tmp_path / "run", cache=tmp_path / "cache", part="inter", chains=1, bd_pieces=1,
        start=str(tiny_weights), learning_rate=1e-12, minutes=1e-9,
    )  # fmt: skip
    run(tmp_path / "videos", chained)
    clip = ensure_cached(tmp_path / "videos/held-out/long.mp4", tmp_path / "cache")
    assert clip is not None
    (piece,) = held_out_pieces([clip], 1, tmp_path / "cache", nothing, nothing)
    model = load_model(tiny_weights, device=CPU)
    ours = [code_pieces(model, [piece.frames], quality) for quality in module.QUALITIES]
    expected = bd_rate(piece.curve, [(point.coded_bytes, point.psnr_db) for point in ours]).percent
    assert float(rows(chained)[-1]["bd_x264_mean"]) == pytest.approx(expected, rel=1e-3)


def test_pieces_are_spread_over_whole_videos(tmp_path: Path) -> None:
    clips = []
    for number in range(5):
        count = 1 if number == 4 else 3
        source = write_clip(tmp_path / f"{number}.mp4", count=count, height=128, width=128, seed=number)
        clip = ensure_cached(source, tmp_path / "cache")
        assert clip is not None
        half = ensure_half(clip)
        clips += [clip] if half is None else [clip, half]
    assert len(clips) == 10
    names = [piece.name[0] for piece in held_out_pieces(clips, 2, tmp_path / "cache", nothing, nothing)]
    assert names == ["0", "2"]
    assert [p.name[0] for p in held_out_pieces(clips, 9, tmp_path / "cache", nothing, nothing)] == list("0123")
    pictures_only = held_out_pieces(clips[8:], 2, tmp_path / "cache", nothing, nothing)
    assert [(piece.name[0], len(piece.frames)) for piece in pictures_only] == [("4", 1)]


def test_the_middle_of_a_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SIDE", 64)
    monkeypatch.setattr(module, "FRAMES", 2)
    clip = ensure_cached(write_clip(tmp_path / "a.mp4", count=3, height=80, width=112), tmp_path / "cache")
    assert clip is not None
    y, u, v = split_planes(np.load(clip))
    frames = middle_of(clip)
    assert len(frames) == 2
    for number, frame in enumerate(frames):
        assert np.array_equal(frame.y, y[number, 8:72, 24:88])
        assert np.array_equal(frame.u, u[number, 4:36, 12:44])
        assert np.array_equal(frame.v, v[number, 4:36, 12:44])
    monkeypatch.setattr(module, "SIDE", 96)
    assert middle_of(clip)[0].y.shape == (80, 96)


def test_without_scipy_it_says_so_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def missing(name: str, *args: object, **named: object) -> object:
        if name.startswith("scipy"):
            raise ImportError(name)
        return original(name, *args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", missing)
    said: list[str] = []
    assert held_out_pieces([tmp_path / "never-read.npy"], 2, tmp_path, said.append, nothing) == ()
    assert said == ["validation is without BD-rate against x264: BD-rate needs scipy: pip install 'stpcodec[bench]'"]


def test_pieces_cannot_be_fewer_than_none(options: TrainOptions) -> None:
    with pytest.raises(UsageError, match="--bd-pieces is -1; give a number of pieces"):
        replace(options, bd_pieces=-1)


def test_a_table_that_cannot_be_kept_is_named(tmp_path: Path) -> None:
    clip = ensure_cached(write_clip(tmp_path / "a.mp4", count=2), tmp_path / "cache")
    assert clip is not None
    (tmp_path / "cache/x264.csv").mkdir()
    with pytest.raises(OutputError, match=r"x264\.csv: cannot be kept .*; choose another --cache"):
        held_out_pieces([clip], 1, tmp_path / "cache", nothing, nothing)


def test_a_full_disk_is_one_line(tmp_path: Path, tiny_weights: Path) -> None:
    def full(network: torch.nn.Module, folder: Path) -> Path:
        raise OSError(28, "No space left on device")

    coded = replace(validation(tmp_path, tiny_weights, Piece("p", frames_of(1), ())), write=full)
    with pytest.raises(OutputError, match=r"cannot be written \(No space left on device\); free space"):
        coded.validate(load_network(str(tiny_weights)))
