"""Searching a quality: few tries, on the right side of the goal, honest at the ends of the scale."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from stpcodec.codec.encoder import EncodeReport, encode
from stpcodec.codec.goals import Goal, Kind
from stpcodec.codec.qualities import HIGHEST, LOWEST, Qualities
from stpcodec.codec.sampling import PIECE_FRAMES, PIECES, take_sample
from stpcodec.codec.search import Search
from stpcodec.codec.targets import encode_to
from stpcodec.container import StpReader
from stpcodec.errors import InputError, TargetUnreachable, UsageError
from tests.codec.clips import pictures, write_video


def bytes_at(quality: float) -> float:
    """A curve as of a codec: bent, and with some noise."""
    return 5000 * math.exp(0.02 * quality + 0.00015 * quality**2) * (1 + 0.01 * math.sin(7 * quality))


def psnr_at(quality: float) -> float:
    return 25 + 0.2 * quality - 0.0005 * quality**2


def searched(goal: Goal) -> Search:
    search = Search(goal)
    measure = psnr_at if goal.kind is Kind.PSNR else bytes_at
    while not search.known or not search.settled(search.slope()):
        quality = search.guess()
        assert LOWEST <= quality <= HIGHEST
        search.add(quality, measure(quality))
        assert len(search.known) <= 6
    return search


@pytest.mark.parametrize("value", [5200, 7000, 12345, 30000, 100000, 160000])
def test_sizes_are_kept_and_used(value: int) -> None:
    best = bytes_at(searched(Goal(Kind.SIZE, value)).best())
    assert 0.98 * value <= best <= value


@pytest.mark.parametrize("value", [5200, 7000, 12345, 30000, 100000, 160000])
def test_rates_are_met_within_two_percent(value: int) -> None:
    assert abs(bytes_at(searched(Goal(Kind.BITRATE, value)).best()) / value - 1) <= 0.02


@pytest.mark.parametrize("value", [25.5, 30, 36.66, 39])
def test_psnr_is_reached_with_the_lowest_quality(value: float) -> None:
    best = searched(Goal(Kind.PSNR, value)).best()
    assert value <= psnr_at(best) <= value + 0.08


@pytest.mark.parametrize(
    ("goal", "end"),
    [
        (Goal(Kind.SIZE, 10), LOWEST),
        (Goal(Kind.PSNR, 90), HIGHEST),
        (Goal(Kind.BITRATE, 10), LOWEST),
        (Goal(Kind.BITRATE, 1e9), HIGHEST),
    ],
)
def test_what_is_out_of_reach_ends_at_the_end(goal: Goal, end: int) -> None:
    search = searched(goal)
    assert search.best() == end
    assert not goal.meets(search.known[end])


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
def test_goals_are_numbers(value: float) -> None:
    with pytest.raises(UsageError):
        Goal(Kind.SIZE, value)


def test_a_sample_knows_the_whole_and_keeps_a_few_pieces(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mkv", pictures(100))
    sample = take_sample(source, chunk_frames=4, segment_frames=5, strict=False, progress=lambda _: None)
    assert (sample.frames, sample.segments, float(sample.duration_seconds)) == (100, 20, 4.0)
    assert 3 <= len(sample.pieces) <= PIECES
    assert [[len(chunk) for chunk in piece] for piece in sample.pieces] == [[1, 4]] * len(sample.pieces)
    assert [piece[0][0].pts for piece in sample.pieces] == [800 * n for n in range(len(sample.pieces))]
    assert not sample.is_everything
    longer = take_sample(source, chunk_frames=4, segment_frames=128, strict=False, progress=lambda _: None)
    assert [sum(map(len, piece)) for piece in longer.pieces] == [PIECE_FRAMES]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """50 frames, two seconds, with sound."""
    return write_video(tmp_path_factory.mktemp("targets") / "in.mkv", pictures(50), sound=True)


class Encoder:
    """Encodes `source` by the model dct; remembers with which qualities."""

    def __init__(self, source: Path) -> None:
        self.source, self.qualities = source, list[Qualities]()

    def __call__(self, path: Path, quality: Qualities, measure: bool) -> EncodeReport:
        self.qualities.append(quality)
        return encode(self.source, path, quality=quality, model="dct", verify=measure, overwrite=True)


@pytest.mark.parametrize(
    "goal", [Goal(Kind.SIZE, 60_000), Goal(Kind.BITRATE, 60_000), Goal(Kind.PSNR, 34)], ids=lambda goal: str(goal.kind)
)
def test_files_come_to_what_was_asked(source: Path, tmp_path: Path, goal: Goal) -> None:
    encoder, target = Encoder(source), tmp_path / "out.stp"
    report = encode_to(goal, source, target, encoder, model="dct")
    assert list(tmp_path.iterdir()) == [target]
    assert len(encoder.qualities) == report.encodes <= 4
    assert 1 <= report.trials <= 4  # one segment: its beginning stands for all
    with StpReader(target) as stream:
        assert stream.header.quality == int(report.quality)
    assert report.quality in [qualities.value for qualities in encoder.qualities]
    assert report.encode.bytes_written == target.stat().st_size
    if goal.kind is Kind.PSNR:
        assert report.reached is not None
        assert 34 <= report.reached < 34.1
        return
    video_bytes = target.stat().st_size - report.encode.sidecar_bytes
    assert report.reached == (target.stat().st_size if goal.kind is Kind.SIZE else pytest.approx(video_bytes * 4))
    assert goal.kind is not Kind.SIZE or report.reached <= goal.value
    assert report.deviation is not None
    assert abs(report.deviation) <= 0.02


@pytest.mark.parametrize(
    ("goal", "said"),
    [
        (Goal(Kind.SIZE, 20_000), "sound and other streams alone take"),
        (Goal(Kind.SIZE, 35_500), "nearest is .* at quality 1"),
        (Goal(Kind.PSNR, 80), "nearest is .* dB, at quality 100"),
    ],
)
def test_out_of_reach_names_the_nearest_and_writes_nothing(
    source: Path, tmp_path: Path, goal: Goal, said: str
) -> None:
    with pytest.raises(TargetUnreachable, match=said) as caught:
        encode_to(goal, source, tmp_path / "out.stp", Encoder(source), model="dct")
    assert goal.text(goal.value) in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_what_is_refused(source: Path, tmp_path: Path) -> None:
    goal = Goal(Kind.SIZE, 60_000)
    (tmp_path / "there.stp").write_bytes(b"mine")
    (tmp_path / "text.mkv").write_text("none")
    for kind, origin, target in (
        (UsageError, source, "-"),
        (UsageError, "-", tmp_path / "out.stp"),
        (UsageError, source, tmp_path / "there.stp"),
        (InputError, tmp_path / "text.mkv", tmp_path / "out.stp"),
    ):
        with pytest.raises(kind):
            encode_to(goal, origin, target, Encoder(source), model="dct")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["text.mkv", "there.stp"]
    assert (tmp_path / "there.stp").read_bytes() == b"mine"
