"""`stpcodec bench` with the model `dct`: what it writes, that the page says the same, and what it refuses."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import av
import pytest

from stpcodec.cli import main
from stpcodec.evaluation.ffmpeg import NotAvailable, with_filter
from tests.cli.conftest import Run
from tests.evaluation.clip_maker import write_clip

VOID = {"meta", "br", "img", "input"}
CLIPS = ("a <b>&amp;.mkv", "small.mkv")


class Page(HTMLParser):
    """Checks that elements are nested properly, and collects what the tests ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)

    @property
    def data(self) -> dict:
        return json.loads(next(text for text in self.texts["script"] if text.startswith("{")))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bench of two clips, one of which is too small for MS-SSIM, in `report` beside them."""
    pytest.importorskip("pytorch_msssim")
    folder = tmp_path_factory.mktemp("bench")
    (folder / "clips").mkdir()
    write_clip(folder / "clips" / CLIPS[0], 6, width=176, height=162)
    write_clip(folder / "clips" / CLIPS[1], 6)
    (folder / "clips" / "index.jsonl").write_text('{"file": "small.mkv", "quality": "raw"}\n')
    assert main.run([*arguments(folder), "--out", str(folder / "report"), "-q"]) == 0
    return folder


def arguments(folder: Path) -> list[str]:
    return ["bench", str(folder / "clips"), "--models", "dct", "--qualities", "30,70", "--anchors", "x264",
            "--frames", "5", "--threads", "1"]  # fmt: skip


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page((folder / "report" / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "report" / "points.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def vmaf_is_here() -> bool:
    try:
        return bool(with_filter("libvmaf"))
    except NotAvailable:
        return False


def test_every_point_has_its_row(rows: list[dict[str, str]]) -> None:
    assert {(r["clip"], r["codec"], r["setting"]) for r in rows} == {
        (clip, codec, setting)
        for clip in CLIPS
        for codec, settings in (("dct", "30 70"), ("x264", "18 23 28 33 38 43"))
        for setting in settings.split()
    }
    for row in rows:
        assert bool(row["ms_ssim"]) == (row["clip"] != "small.mkv")
        assert bool(row["vmaf"]) == vmaf_is_here()
        assert int(row["frames"]) == 5


def test_the_page_is_well_formed_and_needs_nothing_else(folder: Path, page: Page) -> None:
    text = (folder / "report" / "report.html").read_text(encoding="utf-8")
    assert page.open == []
    assert text.startswith("<!doctype html>")
    assert "://" not in text
    assert "@import" not in text
    assert not re.search(r"url\(|fetch\(|XMLHttpRequest|import\(", text)
    for tag, attributes in page.tags:
        assert tag not in {"link", "base", "iframe", "object"}
        assert not {"src", "href"} & attributes.keys()
    assert str(folder) not in text


def test_numbers_in_the_page_are_those_of_the_table(page: Page, rows: list[dict[str, str]]) -> None:
    shown = [p for clip in page.data["clips"] for codec in clip["codecs"] for p in codec["points"]]
    assert len(shown) == len(rows)
    table = {(r["clip"], r["codec"], r["setting"]): r for r in rows}
    for point in shown:
        row = table[point["clip"], point["codec"], str(point["setting"])]
        for name, text in row.items():
            value = point[name]
            if value is None:
                assert text == ""
            else:
                assert type(value)(text) == value, name
        assert sum(point["frame_psnr"]) / 5 == pytest.approx(float(row["psnr_yuv"]), abs=2e-3)
        assert sum(count for count, _ in point["spans"]) == 5
        spent = sum(size for _, size in point["spans"])
        assert spent == point["payload_bytes"] if point["codec"] == "x264" else 0 < spent < point["payload_bytes"]


def test_bd_rates_in_page_and_summary_agree(folder: Path, page: Page) -> None:
    summary = json.loads((folder / "report" / "summary.json").read_text())
    figures = {(f["metric"], f["test"], f["anchor"]): f for f in summary["bd_rates"]}
    expected = {"psnr_yuv", "ms_ssim_db"} | ({"vmaf"} if vmaf_is_here() else set())
    assert expected <= {metric for metric, _, _ in figures}
    cells = page.texts["td"]
    for metric in expected:
        for clip in figures[metric, "dct", "x264"]["clips"]:
            if "percent" in clip:
                assert f"{clip['percent']:+.1f} ({clip['overlap']:.0%})" in cells
    reasons = {c["clip"]: c.get("reason") for c in figures["ms_ssim_db", "dct", "x264"]["clips"]}
    assert reasons["small.mkv"] == "dct and x264 without ms_ssim_db" or "x264 and dct" in reasons["small.mkv"]
    assert any("there is none of small.mkv" in note for note in summary["notes"])
    assert any("there is none of small.mkv" in text for text in page.texts["li"])


def test_plots_are_there_for_what_was_measured(page: Page) -> None:
    metrics = 2 + vmaf_is_here()
    plots = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert len(plots) == metrics + (metrics - 1)  # the small clip has no MS-SSIM
    circles = sum(tag == "circle" for tag, _ in page.tags)
    assert circles == 8 * len(plots)


def test_names_of_clips_are_text_and_never_markup(page: Page) -> None:
    assert CLIPS[0] in "".join(page.texts["h2"])
    assert page.data["clips"][0]["name"] == CLIPS[0]


def test_pictures_are_what_they_say(page: Page) -> None:
    viewer = page.data["clips"][0]["viewer"]
    assert [side["codec"] for side in viewer["sides"]] == [None, "dct", "x264"]
    assert viewer["frames"] == [0, 2, 4]
    assert viewer["quality"] is None
    assert [len(row) for row in viewer["pictures"]] == [3, 3, 3]
    for row in viewer["pictures"]:
        for address in row:
            head, data = address.split(",")
            assert head == "data:image/webp;base64"
            with av.open(io.BytesIO(base64.b64decode(data))) as picture:
                assert (picture.streams.video[0].width, picture.streams.video[0].height) == (176, 162)


def test_a_second_run_measures_nothing_again(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from stpcodec.evaluation import sweep

    before = {p.name: p.read_bytes() for p in (folder / "report").iterdir() if p.is_file()}
    for name in ("measure_subject", "measure_anchor"):
        monkeypatch.setattr(sweep, name, lambda *a, **k: pytest.fail("was measured already"))
    outcome = run(*arguments(folder), "--out", folder / "report", "-q")
    assert outcome.code == 0, outcome.err
    assert {p.name: p.read_bytes() for p in (folder / "report").iterdir() if p.is_file()} == before


def test_a_small_page_leaves_pictures_out_and_says_so(folder: Path, run: Run) -> None:
    out = folder / "without"
    args = [*arguments(folder), "--out", out, "--page-mb", "0", "--metrics", "", "--models", "", "-q"]
    outcome = run(*args, "--anchor-cache", folder / "report" / "points.csv")
    assert outcome.code == 0, outcome.err
    page = Page((out / "report.html").read_text(encoding="utf-8"))
    assert page.data["clips"][0]["viewer"]["pictures"] == [[], []]
    assert "the size budget of this page is too small" in "".join(page.texts["script"])


def test_tuned_it_is_another_codec_with_other_bytes(folder: Path, run: Run, rows: list[dict[str, str]]) -> None:
    out = folder / "tuned"
    args = [*arguments(folder), "--anchors", "", "--metrics", "", "--page-mb", "0", "--tune", "ssim"]
    outcome = run(*args, "--out", out, "-q")
    assert outcome.code == 0, outcome.err
    with (out / "points.csv").open(newline="", encoding="utf-8") as file:
        tuned = list(csv.DictReader(file))
    assert {(row["clip"], row["codec"], row["setting"]) for row in tuned} == {
        (clip, "dct+ssim", setting) for clip in CLIPS for setting in ("30", "70")
    }
    before = {(row["clip"], row["setting"]): row["payload_bytes"] for row in rows if row["codec"] == "dct"}
    assert all(row["payload_bytes"] != before[row["clip"], row["setting"]] for row in tuned)


def test_what_is_not_available_is_said_in_the_report(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    out = folder / "bare"
    outcome = run("bench", folder / "clips" / "small.mkv", "--models", "", "--frames", "2", "--out", out, "-q")
    assert outcome.code == 0, outcome.err
    assert "warning: VMAF not available: the package imageio-ffmpeg is not installed" in outcome.err
    assert "warning: Anchor vvenc not available" in outcome.err
    assert "Note: VMAF not available" in outcome.out
    items = "".join(Page((out / "report.html").read_text(encoding="utf-8")).texts["li"])
    assert "VMAF not available" in items
    assert "Anchor vvenc not available" in items


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["missing.mkv"], 3, "missing.mkv: no such file"),
        (["CLIP", "--qualities", "0,50"], 2, "from 1 to 100"),
        (["CLIP", "--qualities", "high"], 2, "whole numbers"),
        (["CLIP", "--anchors", "vp7"], 2, "anchor 'vp7': there are x264, x265, svtav1, vvenc"),
        (["CLIP", "--metrics", "ssim"], 2, "there are ms-ssim, vmaf"),
        (["CLIP", "--models", "nothing-like-it", "--anchors", "x264"], 6, "nothing-like-it"),
        (["NOT-A-VIDEO", "--models", "", "--anchors", "x264"], 3, "notes.mkv"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, run: Run, args: list[str], code: int, words: str) -> None:
    notes = tmp_path / "notes.mkv"
    notes.write_text("not a video\n" * 50)
    names = {"CLIP": str(write_clip(tmp_path / "clip.mkv", 2)), "NOT-A-VIDEO": str(notes)}
    plain = [] if "--metrics" in args else ["--metrics", ""]
    outcome = run("bench", *(names.get(a, a) for a in args), *plain, "--out", tmp_path / "out", "-q")
    assert outcome.code == code
    assert outcome.err.count("\n") == 1
    assert outcome.err.startswith("stpcodec: error: ")
    assert words in outcome.err
    assert outcome.out == ""


@pytest.mark.parametrize("package", ["pytorch_msssim", "scipy.interpolate"])
def test_a_missing_package_is_one_line_before_anything_is_measured(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    clip = write_clip(tmp_path / "clip.mkv", 2)
    outcome = run("bench", clip, "--models", "", "--anchors", "x264", "--metrics", "ms-ssim", "--out", tmp_path / "out")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert "stpcodec[bench]" in outcome.err
    assert not (tmp_path / "out").exists()
