"""The files of a batch: what the command line names, and what it makes of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from stpcodec.cli.journal import Job
from stpcodec.codec.output import STANDARD_STREAM
from stpcodec.errors import InputError, OutputError, UsageError

STP = (".stp",)
VIDEOS = (
    ".3gp", ".asf", ".avi", ".dv", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf",
    ".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m",
)  # fmt: skip


def find_sources(paths: Sequence[str], *, recursive: bool, suffixes: Sequence[str]) -> list[tuple[Path, Path]]:
    """(file, its name below the folder that was named) of every file, in order; folders only with `recursive`.

    In folders only files with one of `suffixes`; hidden ones, and links to folders, are left out.
    Raises UsageError and InputError.
    """
    found: list[tuple[Path, Path]] = []
    for name in paths:
        path = Path(name)
        if name == STANDARD_STREAM:
            raise UsageError("standard input is no file of a batch; name files, or `-` and one output")
        if not path.is_dir():
            found.append((path, Path(path.name)))
        elif not recursive:
            raise UsageError(f"{name}: is a folder; add -r to take all files in it")
        else:
            inside = list(_walk(path, suffixes))
            if not inside:
                raise InputError(f"{name}: holds no file ending in {', '.join(suffixes)}")
            found += [(file, file.relative_to(path)) for file in inside]
    return found


def _walk(folder: Path, suffixes: Sequence[str]) -> Iterator[Path]:
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in suffixes:
                yield Path(where) / name


def plan_jobs(
    paths: Sequence[str], *, out_dir: Path | None, recursive: bool, suffixes: Sequence[str], target_suffix: str
) -> tuple[Path, list[Job]]:
    """The output folder and what goes where in it, folders below kept. Creates nothing.

    out_dir: None stands for the one folder that was named. Raises UsageError, InputError, OutputError.
    """
    if out_dir is None:
        if len(paths) != 1:
            raise UsageError("-r with several names needs --out-dir FOLDER for the outputs")
        out_dir = Path(paths[0])
    if out_dir.exists() and not out_dir.is_dir():
        raise OutputError(f"{out_dir}: is not a folder; name another --out-dir")
    sources = find_sources(paths, recursive=recursive, suffixes=suffixes)
    return out_dir, [Job(file, out_dir / below.with_suffix(target_suffix)) for file, below in sources]


def one_pair(paths: Sequence[str]) -> tuple[str, str]:
    """IN and OUT of the form for a single file. Raises UsageError."""
    if len(paths) != 2:
        what = f"{paths[0]}: has no output" if len(paths) == 1 else f"{len(paths)} names"
        raise UsageError(f"{what}; name IN and OUT, or any number of inputs and --out-dir FOLDER for their outputs")
    return paths[0], paths[1]


def refuse_shared_stdout(target: str, *, as_json: bool) -> None:
    if as_json and target == STANDARD_STREAM:
        raise UsageError("--json and the output - both take standard output; name a file for the output")
