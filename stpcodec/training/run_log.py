"""log.csv of a run: a row a validation, in columns that may grow (stages show different figures)."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from stpcodec.errors import InputError

NAME = "log.csv"
Row = Mapping[str, float]
BD_MEAN, BD_MEDIAN, BD_PIECES = "bd_x264_mean", "bd_x264_median", "bd_x264_pieces"
"""Columns of BD-rate against x264: per cent, negative is better, and of how many pieces (coded_validation.py)."""


@contextlib.contextmanager
def append_rows(path: Path) -> Iterator[Callable[[Row], None]]:
    """A function that appends a row. A new column makes the file anew, beside and renamed, old rows without it."""
    with contextlib.ExitStack() as stack:
        columns = _columns(path)
        file = stack.enter_context(path.open("a", newline=""))

        def write(row: Row) -> None:
            nonlocal columns, file
            if not set(row) <= set(columns):
                file.close()
                columns = _widen(path, [*columns, *(key for key in row if key not in columns)])
                file = stack.enter_context(path.open("a", newline=""))
            csv.writer(file).writerow(f"{row[c]:.6g}" if c in row else "" for c in columns)
            file.flush()

        yield write


def read_rows(path: Path) -> list[dict[str, float]]:
    """The rows by column, without what is empty; a row that a kill has cut off is left out.

    Raises InputError: no such file, or not a log.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [_numbers(row) for row in csv.DictReader(file)]
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such log; name the folder of a training run") from None
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as the log of a training run ({error})") from error
    found = [row for row in rows if {"step", "minutes", "score"} <= row.keys()]
    if rows and not found:
        raise InputError(f"{path}: not the log of a training run: it has no columns step, minutes and score")
    return found


def _numbers(row: Mapping[str | None, str | None]) -> dict[str, float]:
    return {key: float(value) for key, value in row.items() if key and value}


def _columns(path: Path) -> list[str]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return next(csv.reader(file), [])


def _widen(path: Path, columns: list[str]) -> list[str]:
    rows: list[dict[str, str]] = []
    if path.exists():
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    temporary.rename(path)
    return columns
