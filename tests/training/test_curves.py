"""Curves of runs: everything that is in the logs is in the picture, and nothing else is needed to show it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from stpcodec.errors import InputError, OutputError, UsageError
from stpcodec.training.curves import page, read_runs, svg, write_plot
from stpcodec.training.run_log import append_rows

SVG = "{http://www.w3.org/2000/svg}"


def write_run(folder: Path, scores: list[float], *, stages: bool = False) -> Path:
    folder.mkdir(parents=True)
    with append_rows(folder / "log.csv") as write:
        for number, score in enumerate(scores):
            row = {"step": 10.0 * number, "minutes": 1.0 * number, "score": score, "train_loss": 2 - score}
            row |= {f"q{q}_{kind}_{what}": score + q for q in (15, 90) for kind in ("intra", "inter")
                    for what in ("bpp", "psnr")}  # fmt: skip
            write(row | ({"stage": float(number // 2)} if stages else {}))
    return folder


def test_all_rows_of_all_runs_are_drawn(tmp_path: Path) -> None:
    runs = read_runs([write_run(tmp_path / "one", [-1.0, -1.5, -1.25]), write_run(tmp_path / "<two>", [-2.0])])
    root = ET.fromstring(svg(runs))
    titles = [element.text or "" for element in root.iter(f"{SVG}title")]
    assert len(titles) == 10 * 4, "10 columns are shown, of four validations"
    assert "one, score: -1.5 at 1.0 min" in titles
    assert "<two>, q90_inter_psnr: 88 at 0.0 min" in titles
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert "one: best -1.5000 at step 10" in texts
    assert {"quality 15", "quality 90", "score", "inter frames: bits per pixel"} <= set(texts)


def test_bd_rate_is_drawn_and_in_the_table_where_it_is_known(tmp_path: Path) -> None:
    with append_rows(write_run(tmp_path / "coded", [-1.0]) / "log.csv") as write:
        for number, percent in enumerate((12.25, 3.5, -4.0)):
            row = {"step": 20.0 + number, "minutes": 2.0 + number, "score": -1.1}
            write(row | {"bd_x264_mean": percent, "bd_x264_median": percent - 1, "bd_x264_pieces": 4})
        write({"step": 30.0, "minutes": 9.0, "score": -1.2, "bd_x264_pieces": 0})
    write_run(tmp_path / "without", [-1.0])
    runs = read_runs([tmp_path / "coded", tmp_path / "without"])
    root = ET.fromstring(svg(runs))
    titles = [element.text or "" for element in root.iter(f"{SVG}title") if "bd_x264" in (element.text or "")]
    assert len(titles) == 6, "mean and median of three validations; the number of pieces is no curve"
    assert "coded, bd_x264_median: -5 at 4.0 min" in titles
    assert any((element.text or "").startswith("BD-rate against x264") for element in root.iter(f"{SVG}text"))
    text = page(runs)
    assert "<td>+12.2 %</td><td>-4.0 %</td>" in text
    assert "<td></td><td></td>" in text


def test_new_stages_are_marked(tmp_path: Path) -> None:
    runs = read_runs([write_run(tmp_path / "staged", [-1.0, -1.1, -1.2, -1.3, -1.4], stages=True)])
    marks = [line for line in ET.fromstring(svg(runs)).iter(f"{SVG}line") if line.get("class") == "stage"]
    assert len(marks) == 2 * 6, "two new stages, six panels"


def test_a_page_has_a_table_and_no_links(tmp_path: Path) -> None:
    text = page(read_runs([write_run(tmp_path / "a<b", [-1.0, -1.5])]))
    assert "<td>a&lt;b</td><td>10</td><td>1.0</td><td>-1.5000</td>" in text
    assert "href" not in text
    assert "src=" not in text


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    paths = [write_run(tmp_path / where / "train", [-1.0]) for where in "ab"]
    assert [run.name for run in read_runs(paths)] == [str(path) for path in paths]
    assert read_runs([paths[0] / "log.csv"])[0].name == "train"


def test_an_older_log_shows_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("step,minutes,score\n1,0.5,-1\n2,0.7,-1.1\n")
    root = ET.fromstring(svg(read_runs([tmp_path])))
    assert len(list(root.iter(f"{SVG}polyline"))) == 1


def test_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such log"):
        read_runs([tmp_path])
    (tmp_path / "log.csv").write_text("")
    with pytest.raises(InputError, match="holds no validation yet"):
        read_runs([tmp_path])


def test_targets_that_cannot_be(tmp_path: Path) -> None:
    runs = read_runs([write_run(tmp_path / "run", [-1.0])])
    for name in ("curves.png", "curves"):
        with pytest.raises(UsageError, match=r"ends in \.html or \.svg"):
            write_plot(runs, tmp_path / name)
    target = tmp_path / "curves.svg"
    target.write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        write_plot(runs, target)
    assert target.read_text() == "mine"
    write_plot(runs, target, overwrite=True)
    assert target.read_text().startswith("<svg")
    with pytest.raises(OutputError, match="cannot be written"):
        write_plot(runs, tmp_path / "missing/curves.html")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        write_plot(runs, tmp_path / "folder.html", overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curves.svg", "folder.html", "run"]
