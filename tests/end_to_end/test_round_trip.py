"""A file as people have them, encoded and decoded by the program: everything that was in it comes back."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import stpcodec
from stpcodec.codec.comparison import PlanePsnr
from stpcodec.video.reader import VideoReader
from tests.cli.conftest import Run
from tests.codec.clips import pictures, write_y4m
from tests.video import media


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return media.make_mp4_with_everything(tmp_path_factory.mktemp("media") / "everything.mp4")


def psnr_db(path: Path, source: Path) -> dict[str, float]:
    with VideoReader(path) as ours, VideoReader(source) as theirs:
        psnr = PlanePsnr(theirs.info.bit_depth)
        for a, b in zip(ours, theirs, strict=True):
            psnr.add(a, b)
    return psnr.result()


def test_tracks_subtitles_chapters_rotation_and_uneven_times_come_back(
    everything: Path, tmp_path: Path, run: Run
) -> None:
    stp, target = tmp_path / "x.stp", tmp_path / "out.mp4"
    assert run("encode", everything, stp, "--model", "dct", "--quality", 80, "-q").code == 0
    outcome = run("decode", stp, target, "-q")
    assert (outcome.code, outcome.err) == (0, "")
    before, after = media.probe(everything), media.probe(target)
    assert after.video_times == before.video_times
    assert len(set(np.diff([float(t) for t in after.video_times]).round(6))) > 2
    assert after.tracks[1:] == before.tracks[1:]
    assert [track.kind for track in after.tracks] == ["video", "audio", "audio", "subtitle"]
    assert after.chapters == before.chapters != ()
    assert after.rotation == before.rotation == 90
    assert after.color == before.color
    assert after.sample_aspect_ratio == before.sample_aspect_ratio
    assert {key: after.metadata[key] for key in ("title", "artist")} == {"title": "Everything", "artist": "nobody"}
    assert psnr_db(target, everything)["y"] > 30


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_part_has_its_part_of_everything(everything: Path, tmp_path: Path, run: Run, suffix: str) -> None:
    stp, target = tmp_path / "x.stp", tmp_path / f"part{suffix}"
    assert run("encode", everything, stp, "--model", "dct", "--segment-frames", 8, "-q").code == 0
    assert run("decode", stp, target, "--start", 0.5, "--end", 1.0, "-q").code == 0
    before, after = media.probe(everything), media.probe(target)
    inside = [time for time in before.video_times if Fraction(1, 2) <= time < 1]
    assert len(after.video_times) == len(inside)
    assert after.video_times[0] == 0
    for track in after.of("audio"):
        assert Fraction(2, 5) < max(time for time, _ in track.times) < Fraction(1, 2)


def test_bytes_and_quality_rise_with_the_quality_asked_for(tmp_path: Path, run: Run) -> None:
    source = write_y4m(tmp_path / "in.y4m", pictures(9, height=96, width=128))
    sizes, qualities = [], []
    for quality in (10, 50, 90):
        stp, target = tmp_path / f"{quality}.stp", tmp_path / f"{quality}.y4m"
        assert run("encode", source, stp, "--model", "dct", "--quality", quality, "-q").code == 0
        assert run("decode", stp, target, "-q").code == 0
        sizes.append(stp.stat().st_size)
        qualities.append(psnr_db(target, source)["yuv"])
    assert sizes == sorted(set(sizes))
    assert qualities == sorted(set(qualities))


def test_10_bits_stay_10_bits(tmp_path: Path, run: Run) -> None:
    source = write_y4m(tmp_path / "in.y4m", pictures(6, bit_depth=10))
    assert run("encode", source, tmp_path / "x.stp", "--model", "dct", "--quality", 95, "-q").code == 0
    for name in ("out.y4m", "out.mkv"):
        assert run("decode", tmp_path / "x.stp", tmp_path / name, "-q").code == 0
        with VideoReader(tmp_path / name) as reader:
            assert reader.info.bit_depth == 10
        assert psnr_db(tmp_path / name, source)["y"] > 35


def test_tiles_decode_to_a_picture_without_seams(tmp_path: Path, run: Run) -> None:
    source = write_y4m(tmp_path / "in.y4m", pictures(3, height=160, width=240))
    for name, options in (("whole", ()), ("tiles", ("--tile", 128))):
        stp = tmp_path / f"{name}.stp"
        assert run("encode", source, stp, "--model", "dct", "--quality", 80, "-q", *options).code == 0
        assert run("decode", stp, tmp_path / f"{name}.y4m", "-q").code == 0
    whole, tiles = (psnr_db(tmp_path / f"{name}.y4m", source)["y"] for name in ("whole", "tiles"))
    assert tiles > whole - 1


def test_what_was_encoded_can_be_read_from_python(everything: Path, tmp_path: Path) -> None:
    report = stpcodec.encode(everything, tmp_path / "x.stp", model="dct", segment_frames=10)
    assert report.frames == 36
    with stpcodec.open(tmp_path / "x.stp") as video:
        assert (video.width, video.height, len(video)) == (64, 48, 36)
        assert video.metadata["title"] == "Everything"
        frames = list(video)
        np.testing.assert_array_equal(video.frame_at(17).y, frames[17].y)
        latents = video.latents(2)
        assert latents[0].first_frame == 20
        assert all(np.issubdtype(array.dtype, np.integer) for part in latents for array in part.arrays.values())
    assert stpcodec.verify(tmp_path / "x.stp", deep=True).intact
    assert stpcodec.decode(tmp_path / "x.stp", tmp_path / "out.mkv").frames == 36


def test_the_default_model_is_learned(tmp_path: Path, run: Run) -> None:
    source = write_y4m(tmp_path / "in.y4m", pictures(6))
    outcome = run("encode", source, tmp_path / "x.stp", "--verify", "-v")
    assert outcome.code == 0, outcome.err
    assert "model stp-s" in outcome.err
    assert run("verify", tmp_path / "x.stp", "--deep").code == 0
    assert run("decode", tmp_path / "x.stp", tmp_path / "out.y4m", "-q").code == 0
    assert psnr_db(tmp_path / "out.y4m", source)["y"] > 25
