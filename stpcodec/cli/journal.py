"""What a batch got done, so that the same command goes on after an interruption: `.stpcodec-batch.jsonl`.

It lies in the folder of the outputs. One JSON object a line, appended before and after every file; a torn last line
counts for nothing. A file is done when its source and the options are as noted, and the output is there as it was
written. The journal is removed when all files are done.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stpcodec.codec.output import output_error

NAME = ".stpcodec-batch.jsonl"


@dataclass(frozen=True)
class Job:
    """A file to work on; target: what is made of it, None where nothing is."""

    source: Path
    target: Path | None = None


class Journal:
    """The journal of one command in `folder`; options: all that decides what its outputs hold.

    Raises OutputError where it cannot be written.
    """

    def __init__(self, folder: Path, options: dict[str, Any]) -> None:
        self._path = folder / NAME
        self._options = json.dumps(options, sort_keys=True, default=str)
        self._notes: dict[str, dict[str, Any]] = {}
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        for line in lines:
            try:
                note = json.loads(line)
                self._notes[note["target"]] = note
            except (ValueError, TypeError, KeyError):
                continue

    def begin(self, job: Job) -> None:
        self._append(job, "begun")

    def finish(self, job: Job) -> None:
        self._append(job, "done")

    def is_done(self, job: Job) -> bool:
        """The output is there, made by this command of this source.

        Also where the run was killed between the output's last rename and the note: outputs appear when they are
        complete, and there was none when it began.
        """
        note = self._notes.get(str(_full(job.target)))
        if note is None or note["options"] != self._options or note["source"] != str(_full(job.source)):
            return False
        made = _state(job.target)
        if made is None or (note["source_state"] != _state(job.source) and job.source.exists()):
            return False
        return note["made"] == made if note["state"] == "done" else note["made"] is None

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)

    def _append(self, job: Job, state: str) -> None:
        note = {
            "state": state,
            "source": str(_full(job.source)),
            "source_state": _state(job.source),
            "target": str(_full(job.target)),
            "made": _state(job.target),
            "options": self._options,
        }
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(note) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise output_error(self._path, error) from error


def _full(path: Path | None) -> Path:
    return (path or Path()).absolute()


def _state(path: Path | None) -> list[int] | None:
    """Size and time of a file; None where there is none."""
    try:
        found = (path or Path()).stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]
