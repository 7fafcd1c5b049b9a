"""The log of a run: rows appended by several processes after each other, with columns that grow."""

from __future__ import annotations

from pathlib import Path

import pytest

from stpcodec.errors import InputError
from stpcodec.training.run_log import append_rows, read_rows

ROW = {"step": 1.0, "minutes": 0.5, "score": -1.25}


def test_rows_come_back_and_are_continued(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    for step in (1.0, 2.0):
        with append_rows(path) as write:
            write({**ROW, "step": step})
    assert read_rows(path) == [{**ROW, "step": 1.0}, {**ROW, "step": 2.0}]
    assert path.read_text().count("score") == 1, "one header"


def test_a_new_column_keeps_the_old_rows(tmp_path: Path) -> None:
    """A run of before recipes is continued with one, and a stage of one network shows fewer figures."""
    path = tmp_path / "log.csv"
    with append_rows(path) as write:
        write(ROW)
        write({**ROW, "stage": 1.0})
        write(ROW)
    with append_rows(path) as write:
        write({**ROW, "train_loss": 2.0})
    assert read_rows(path) == [ROW, {**ROW, "stage": 1.0}, ROW, {**ROW, "train_loss": 2.0}]
    assert [other.name for other in tmp_path.iterdir()] == ["log.csv"]


def test_a_row_cut_off_by_a_kill_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    with append_rows(path) as write:
        write(ROW)
    with path.open("a") as file:
        file.write("2,0.7")
    assert read_rows(path) == [ROW]


@pytest.mark.parametrize("content", ["step,minutes\n1,2\n", "a,b\n1,2\n", "step,minutes,score\n1,two,3\n", "\0\n\0\n"])
def test_other_files_are_no_logs(tmp_path: Path, content: str) -> None:
    path = tmp_path / "log.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=r"log\.csv: (not|cannot be read as) the log of a training run"):
        read_rows(path)


def test_no_log(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such log"):
        read_rows(tmp_path / "log.csv")
    (tmp_path / "empty.csv").write_text("")
    assert read_rows(tmp_path / "empty.csv") == []
