"""Where a verb's words go: those for people to standard error (and a log), those for programs to standard output.

With `--json` standard output holds one JSON object a line, the last of type "summary"; docs/json.md has the schema.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from stpcodec.cli import console
from stpcodec.cli.signals import SignalGuard
from stpcodec.codec.events import Progress, ProgressCallback
from stpcodec.codec.output import OutputClosed
from stpcodec.errors import UsageError

_PROGRESS_SECONDS = 0.5  # between two progress objects of one phase


@dataclass
class Report:
    """What one run of the program says.

    verb: of the command line. quiet: warnings and errors only. as_json, json_progress: see the module.
    summary: fields of the summary object, filled by the verb.
    """

    verb: str = ""
    quiet: bool = False
    verbose: bool = False
    as_json: bool = False
    json_progress: bool = False
    warnings: int = 0
    summary: dict[str, Any] = field(default_factory=dict)
    _files: Counter[str] = field(default_factory=Counter)
    _log: TextIO | None = None
    _clock: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """News for people."""
        self._write(text, shown=not self.quiet)

    def detail(self, text: str) -> None:
        """News for people who asked for more (-v)."""
        self._write(text, shown=self.verbose)

    def result(self, text: str, *, always: bool = False) -> None:
        """What the verb was called for, as text: on standard output, or beside the JSON objects on standard error.

        always: also when quiet.
        """
        if self.as_json:
            self._write(text, shown=not self.quiet)
            return
        self._note(text)
        if always or not self.quiet:
            _print(text)

    def warning(self, message: str) -> None:
        self.warnings += 1
        self._write(f"stpcodec: warning: {console.one_line(message)}")
        self.emit("warning", message=message)

    def error(self, message: str, exit_code: int) -> None:
        """What ended the run."""
        self.complain(message)
        self.emit("error", message=message, exit_code=exit_code)

    def complain(self, message: str) -> None:
        """An error that does not end the run, or has an object of its own."""
        self._write(f"stpcodec: error: {console.one_line(message)}")

    def emit(self, kind: str, **fields: Any) -> None:
        """One object on standard output, with `--json`. Those of type "file" are counted by their status."""
        if kind == "file":
            self._files[fields["status"]] += 1
        if self.as_json:
            _print(json.dumps({"type": kind, "verb": self.verb, **fields}))

    def finish(self, exit_code: int) -> None:
        """The last object of all."""
        elapsed_seconds = round(time.monotonic() - self._clock, 3)
        counts = {status: self._files[status] for status in ("done", "skipped", "failed")}
        fields = counts | self.summary | {"warnings": self.warnings, "elapsed_seconds": elapsed_seconds}
        self.emit("summary", exit_code=exit_code, **fields)
        self.as_json = False
        if self._log is not None:
            self._log.close()
            self._log = None

    def open_log(self, path: Path) -> None:
        """Append all that is said for people, also what is not shown, to `path`. Raises UsageError."""
        try:
            self._log = path.open("a", encoding="utf-8", buffering=1)
        except OSError as error:
            raise UsageError(f"--log-file {path}: cannot be written: {error.strerror}; name another file") from error

    @contextmanager
    def progress(self, guard: SignalGuard, *, source: str | None = None) -> Iterator[ProgressCallback]:
        """A callback for long work: a bar on a terminal, or objects where they were asked for.

        It also asks `guard` whether a signal is pending. source: what is worked on, for the objects.
        """
        bar = not self.quiet and os.environ.get("TERM") != "dumb"
        with console.progress_bar(guard, quiet=not bar) as draw:
            if not self.json_progress:
                yield draw
                return
            last: dict[str, float] = {}

            def report(event: Progress) -> None:
                draw(event)
                now = time.monotonic()
                if event.frames_done == event.frames_total or now - last.get(event.phase, 0) >= _PROGRESS_SECONDS:
                    last[event.phase] = now
                    self.emit("progress", **progress_fields(event, source))

            yield report

    def _write(self, text: str, *, shown: bool = True) -> None:
        self._note(text)
        if shown:
            console.say(text)

    def _note(self, text: str) -> None:
        if self._log is not None:
            now = datetime.now().astimezone().isoformat(timespec="seconds")
            try:
                self._log.write("".join(f"{now} {os.getpid()} {line}\n" for line in text.splitlines()))
            except OSError as error:  # a full disk must not end the work
                console.say(f"stpcodec: warning: the log cannot be written: {error.strerror}")
                self._log = None


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError as error:  # typer would make it exit code 1
        raise OutputClosed("standard output: the reader closed the pipe") from error


def progress_fields(event: Progress, source: str | None) -> dict[str, Any]:
    eta = event.eta_seconds
    return {
        "source": source,
        "phase": event.phase,
        "frames_done": event.frames_done,
        "frames_total": event.frames_total,
        "bytes_written": event.bytes_written,
        "frames_per_second": round(event.frames_per_second, 3),
        "eta_seconds": None if eta is None else round(eta, 1),
    }


