"""What the command line prints: for people to standard error, only data to standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from stpcodec.cli.signals import SignalGuard
from stpcodec.codec.events import Progress, ProgressCallback


def one_line(text: str) -> str:
    """`text` on one line, without control characters: file names and tags come from strangers."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


def say(text: str) -> None:
    """One line to standard error; if that is closed, there is nobody to tell."""
    try:
        print(text, file=sys.stderr, flush=True)
    except (BrokenPipeError, ValueError):
        pass


def error(message: str) -> None:
    say(f"stpcodec: error: {one_line(message)}")


def warning(message: str) -> None:
    say(f"stpcodec: warning: {one_line(message)}")


def plain_number(value: float) -> float:
    """52 for 52.0, 52.4 for 52.40000001: of two decimals, as one writes it."""
    rounded = round(value, 2)
    return int(rounded) if rounded == int(rounded) else rounded


def size_text(size_bytes: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000 or unit == "GB":
            break
        size_bytes /= 1000
    return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.2f} {unit}"


def time_text(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:06.3f}"


@contextmanager
def progress_bar(guard: SignalGuard, *, quiet: bool) -> Iterator[ProgressCallback]:
    """A callback that draws a bar on standard error if that is a terminal and `quiet` is false.

    It also asks `guard` whether a signal is pending: it is what is called regularly during long work.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda _: guard.check()
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description:<6}"), BarColumn(), TextColumn("{task.fields[status]}"))
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks = {}

        def draw(event: Progress) -> None:
            guard.check()
            if event.phase not in tasks:
                tasks[event.phase] = bars.add_task(event.phase, total=None, status="")
            bars.update(
                tasks[event.phase],
                completed=event.frames_done,
                total=event.frames_total,
                status=status_text(event),
            )

        yield draw


def status_text(event: Progress) -> str:
    """`120/500 frames  31.2 fps  eta 0:12  1.20 MB of about 5.01 MB`, as far as it is known."""
    total = f"/{event.frames_total}" if event.frames_total else ""
    parts = [f"{event.frames_done}{total} frames", f"{event.frames_per_second:.1f} fps"]
    if event.eta_seconds is not None:
        minutes, seconds = divmod(round(event.eta_seconds), 60)
        parts.append(f"eta {minutes}:{seconds:02d}")
    if event.bytes_written:
        size = size_text(event.bytes_written)
        predicted = event.predicted_bytes
        parts.append(f"{size} of about {size_text(predicted)}" if predicted else size)
    return "  ".join(parts)
