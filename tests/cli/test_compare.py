"""`stpcodec compare`: the page, what it says, and what a reader can do with it in a browser."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from stpcodec.cli import main
from tests.browser import Tab, tab
from tests.cli.conftest import Run
from tests.cli.test_bench import Page
from tests.codec.clips import pictures, write_video

FRAMES = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """<b>.mkv, x.stp in three segments at a low quality, and their page in page/."""
    folder = tmp_path_factory.mktemp("compare")
    clip = write_video(folder / "<b>.mkv", pictures(FRAMES, height=110, width=150))
    stp = folder / "x.stp"
    args = ["encode", str(clip), str(stp), "--model", "dct", "--quality", "10", "--segment-frames", "5", "-q"]
    assert main.run(args) == 0
    assert main.run(["compare", str(clip), str(stp), "--out", str(folder / "page"), "-q"]) == 0
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page((folder / "page/index.html").read_text(encoding="utf-8"))


@pytest.fixture
def opened(folder: Path, tmp_path: Path) -> Iterator[Tab]:
    with tab(tmp_path / "profile") as browser:
        browser.open(folder / "page/index.html")
        browser.wait("canvas.dataset.frame === '0' && levels !== null")
        yield browser
        assert browser.errors == []


def test_the_page_is_well_formed_and_needs_nothing_else(folder: Path, page: Page) -> None:
    text = (folder / "page/index.html").read_text(encoding="utf-8")
    assert page.open == []
    assert "://" not in text
    assert not re.search(r"url\(|fetch\(|XMLHttpRequest|import\(", text)
    for tag, attributes in page.tags:
        assert tag not in {"link", "base", "iframe", "object"}
        assert not {"src", "href"} & attributes.keys()
    assert str(folder) not in text
    assert "<b>.mkv" in page.texts["dd"]


def test_figures_are_those_of_the_file(folder: Path, page: Page, run: Run) -> None:
    args = ("compare", folder / "<b>.mkv", folder / "x.stp", "--out", folder / "page", "--overwrite", "--json")
    outcome = run(*args)
    assert outcome.code == 0, outcome.err
    done, summary = map(json.loads, outcome.out.splitlines())
    assert summary["type"] == "summary"
    assert done["frames"] == len(page.data["seconds"]) == FRAMES
    assert page.data["seconds"] == pytest.approx([0.04 * n for n in range(FRAMES)])
    assert np.mean(page.data["psnr"]) == pytest.approx(done["psnr_db"]["yuv"], abs=1e-3)
    assert sum(page.data["bits"]) == pytest.approx(done["bits"], abs=5)
    assert 0 < done["bits"] < 8 * (folder / "x.stp").stat().st_size
    assert done["bytes_written"] == (folder / "page/index.html").stat().st_size
    outcome = run("encode", folder / "<b>.mkv", folder / "again.stp", "--model", "dct", "--quality", "10",
                  "--segment-frames", "5", "--verify", "--json")  # fmt: skip
    assert json.loads(outcome.out.splitlines()[0])["psnr_db"] == pytest.approx(done["psnr_db"])


def test_jobs_show_the_same(folder: Path, tmp_path: Path, run: Run) -> None:
    for jobs in ("1", "2"):
        outcome = run("compare", folder / "<b>.mkv", folder / "x.stp", "--out", tmp_path / jobs, "--start", "0.16",
                      "--jobs", jobs, "--threads", "1")  # fmt: skip
        assert outcome.code == 0, outcome.err
    assert (tmp_path / "1/index.html").read_bytes() == (tmp_path / "2/index.html").read_bytes()


def test_a_part_of_it(folder: Path, tmp_path: Path, run: Run) -> None:
    outcome = run("compare", folder / "<b>.mkv", folder / "x.stp", "--out", tmp_path / "part", "--start", "0.24",
                  "--seconds", "0.12", "--width", "80", "--json")  # fmt: skip
    assert outcome.code == 0, outcome.err
    done = json.loads(outcome.out.splitlines()[0])
    assert (done["first_frame"], done["frames"], done["start_seconds"]) == (6, 3, 0.24)
    assert (done["width"], done["height"]) == (80, 59)


def test_pictures_get_coarser_to_stay_within_the_page(folder: Path, tmp_path: Path) -> None:
    from stpcodec.errors import UsageError
    from stpcodec.evaluation.compare import compare

    done = compare(folder / "<b>.mkv", folder / "x.stp", tmp_path / "small", page_bytes=50_000)
    assert done.picture_quality[0] < 95
    text = (tmp_path / "small/index.html").read_text(encoding="utf-8")
    sizes = [len(found) for found in re.findall(r"data:image/webp;base64,([^\"]+)", text)]
    assert len(sizes) == 2 * FRAMES
    assert sum(sizes) * 3 / 4 <= 50_000
    with pytest.raises(UsageError, match="smaller --width"):
        compare(folder / "<b>.mkv", folder / "x.stp", tmp_path / "none", page_bytes=5_000)
    assert not (tmp_path / "none/index.html").exists()


@pytest.mark.parametrize(
    ("names", "code", "words"),
    [
        (["X"], 2, "nothing to compare it with; name the original video first"),
        (["X", "CLIP"], 2, "comes second: stpcodec compare"),
        (["missing.mp4", "X"], 3, "missing.mp4: no such file"),
        (["SHORT", "X"], 2, "has 11 frames"),
        (["LARGE", "X"], 2, "is 160x110, 8 bit"),
        (["CLIP", "X", "--start", "9"], 2, "9"),
        (["CLIP", "X", "--seconds", "0"], 2, "above 0"),
        (["CLIP", "X", "--out", "PAGE"], 2, "--overwrite"),
    ],
)
def test_mistakes_are_one_line(
    folder: Path, tmp_path: Path, run: Run, names: list[str], code: int, words: str
) -> None:
    files = {"X": folder / "x.stp", "CLIP": folder / "<b>.mkv", "PAGE": folder / "page"}
    if "SHORT" in names:
        files["SHORT"] = write_video(tmp_path / "short.mkv", pictures(FRAMES - 1, height=110, width=150))
    if "LARGE" in names:
        files["LARGE"] = write_video(tmp_path / "large.mkv", pictures(FRAMES, height=110, width=160))
    out = [] if "--out" in names else ["--out", tmp_path / "out"]
    outcome = run("compare", *(files.get(name, name) for name in names), *out)
    assert outcome.code == code, outcome.err
    assert words in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_other_times_are_said(folder: Path, tmp_path: Path, run: Run) -> None:
    slow = write_video(tmp_path / "slow.mkv", pictures(FRAMES, height=110, width=150), times=[*range(0, 600, 50)])
    outcome = run("compare", slow, folder / "x.stp", "--out", tmp_path / "out")
    assert outcome.code == 0
    assert "frame 1 is shown at 0.050 s there" in outcome.err


SIDES = """(() => {
  const { width, height } = canvas, cut = Math.round(state.wipe * width);
  const samples = (source) => {
    const made = document.createElement("canvas");
    [made.width, made.height] = [width, height];
    made.getContext("2d").drawImage(source, 0, 0, width, height);
    return made.getContext("2d").getImageData(0, 0, width, height).data;
  };
  const [seen, original, decoded] = [canvas, ...pictures(state.frame)].map(samples);
  const wrong = { left: 0, right: 0, apart: 0 };
  for (let n = 0; n < seen.length; n++) {
    const left = Math.floor(n / 4) % width < cut;
    if (seen[n] !== (left ? original : decoded)[n]) wrong[left ? "left" : "right"]++;
    if (original[n] !== decoded[n]) wrong.apart++;
  }
  return wrong;
})()"""


def test_the_wipe_shows_the_original_on_the_left_and_follows_hand_and_slider(opened: Tab) -> None:
    at_first = opened.value(SIDES)
    assert (at_first["left"], at_first["right"]) == (0, 0)
    assert at_first["apart"] > 1000
    assert opened.value("state.wipe") == 0.5
    x, y, width = opened.value("(({ left, top, width }) => [left, top, width])(wipe.getBoundingClientRect())")
    opened.drag((x + width / 2, y + 20), (x + width / 4, y + 20))
    assert opened.value("state.wipe") == pytest.approx(0.25, abs=0.02)
    assert opened.value("edge.getBoundingClientRect().left") == pytest.approx(x + width / 4, abs=3)
    x, y, width = opened.value("(({ left, top, width }) => [left, top + 5, width])(slider.getBoundingClientRect())")
    opened.drag((x + width / 4, y), (x + 0.9 * width, y))
    assert opened.value("state.wipe") == pytest.approx(0.9, abs=0.03)
    after = opened.value(SIDES)
    assert (after["left"], after["right"]) == (0, 0)


def test_it_plays_both_in_step_to_the_end(opened: Tab) -> None:
    opened.value("document.getElementById('play').click()")
    opened.wait("state.frame > 2")
    opened.wait(f"canvas.dataset.frame === '{FRAMES - 1}' && !state.playing")
    sides = opened.value(SIDES)
    assert (sides["left"], sides["right"]) == (0, 0)
    assert opened.value("told.textContent").startswith(f"frame {FRAMES - 1}, 0.440 s: ")
    opened.value("document.getElementById('back').click()")
    opened.wait(f"canvas.dataset.frame === '{FRAMES - 2}'")
    opened.value("timeline.value = 4; timeline.dispatchEvent(new Event('input'))")
    opened.wait("canvas.dataset.frame === '4'")


def test_the_heat_map_lies_over_the_decoded_side(opened: Tab, page: Page, tmp_path: Path) -> None:
    heat = page.data["heat"]
    assert (heat["rows"], heat["columns"]) == (7, 10)
    assert opened.value("levels.length") == FRAMES * 70
    bits = opened.value("[...levels.slice(0, 70)].reduce((sum, level) => sum + bitsOf(level), 0)")
    assert bits == pytest.approx(page.data["bits"][0], rel=0.05)
    for mode in (1, 2):
        opened.value(f"state.mode = {mode}; draw()")
        sides = opened.value(SIDES)
        assert sides["left"] == 0
        assert sides["right"] > 10_000
    opened.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10_000


def test_a_turned_video_is_shown_upright_with_its_heat(folder: Path) -> None:
    from dataclasses import replace

    from stpcodec.container import StpReader
    from stpcodec.evaluation.compare_page import _heat
    from stpcodec.evaluation.film import heat_levels

    with StpReader(folder / "x.stp") as stream:
        header = stream.header
    levels = heat_levels(np.arange(70.0).reshape(7, 10))
    turned = _heat(replace(header, rotation=90), np.rot90(levels)[None], 1)
    # 150 and 110 samples become 110 and 150: the ten padded columns are ten rows above the picture then.
    assert (turned["rows"], turned["columns"]) == (10, 7)
    assert turned["x"] == 0
    assert turned["y"] == pytest.approx(10 / 150)
    assert turned["cellWidth"] == pytest.approx(16 / 110)


def test_without_an_index_the_page_says_what_is_there(folder: Path, tmp_path: Path, run: Run) -> None:
    """A file that was cut off has fewer frames than its original."""
    cut = tmp_path / "cut.stp"
    shutil.copy(folder / "x.stp", cut)
    with cut.open("r+b") as file:
        file.truncate(cut.stat().st_size * 2 // 3)
    outcome = run("compare", folder / "<b>.mkv", cut, "--out", tmp_path / "out")
    assert outcome.code == 2
    assert f"has {FRAMES} frames" in outcome.err
