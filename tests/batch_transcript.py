"""Thirty mixed files through one command that is killed in the middle: makes docs/batch.md.

    python -m tests.batch_transcript docs/batch.md
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

from stpcodec.cli.files import VIDEOS
from tests.codec.clips import pictures, write_sound, write_video, write_y4m

ROOT = Path(__file__).resolve().parents[1]
ENCODE = "stpcodec encode -r videos --out-dir coded --model dct --segment-frames 8"
KILLED_BEHIND = 11
"""Outputs that are there when the first run is killed, in the middle of the next."""


def make_videos(folder: Path) -> dict[str, str]:
    """Good, odd and broken files by name, with what is special about them."""
    (folder / "holiday/second day").mkdir(parents=True)
    said: dict[str, str] = {}

    def good(name: str, what: str, count: int = 40, **options: object) -> None:
        kinds = {key: options.pop(key) for key in ("height", "width", "bit_depth", "cut_at") if key in options}
        write_video(folder / name, pictures(count, **kinds), **options)  # type: ignore[arg-type]
        said[name] = what

    for number in range(8):
        good(f"clip-{number}.mkv", "lossless, with sound", 30 + 10 * number, height=96, width=128, sound=True)
    good("film.mp4", "H.264", codec="libx264", height=144, width=176, time_base=Fraction(1, 12800),
         times=[512 * n for n in range(40)])  # fmt: skip
    good("cut.mkv", "a scene cut", cut_at=19)
    good("holiday/beach.avi", "MPEG-4 in AVI", codec="mpeg4", time_base=Fraction(1, 25), times=list(range(40)))
    good("holiday/second day/dinner.mkv", "two folders below, a blank in the name")
    good("holiday/second day/straße.mkv", "a name that is not ASCII", 12)
    good("deep.mkv", "10 bits", bit_depth=10)
    good("odd-size.mkv", "61x47", height=47, width=61, codec="ffv1")
    good("one-frame.mkv", "a single frame", 1)
    good("tall.mkv", "16x240", height=240, width=16)
    times = [0, 10, 40, 400, 410, 900, 910, 920, 1400, 1401, 1500, 2000]
    good("uneven.mkv", "frames 1 to 500 ms apart", 12, times=times)
    write_y4m(folder / "raw.y4m", pictures(20))
    said["raw.y4m"] = "y4m, no time stamps"
    write_y4m(folder / "UPPER.Y4M", pictures(5))
    said["UPPER.Y4M"] = "suffix in capitals"

    whole = (folder / "clip-7.mkv").read_bytes()
    film = (folder / "film.mp4").read_bytes()
    broken = {
        "cut-off.mkv": ("the first half of clip-7.mkv", whole[: len(whole) // 2]),
        "bad-middle.mkv": ("clip-7.mkv with 2000 bytes of noise in it", _noisy(whole)),
        "no-index.mp4": ("film.mp4 without its end, where its index is", film[: len(film) // 2]),
        "empty.mp4": ("no bytes", b""),
        "text.avi": ("text", b"no video at all\n"),
        "noise.webm": ("random bytes", random.Random(1).randbytes(5000)),
        "header.mkv": ("the first 300 bytes of clip-7.mkv", whole[:300]),
        "picture.mov": ("a PNG's first bytes", b"\x89PNG\r\n\x1a\n" + bytes(64)),
    }
    for name, (what, data) in broken.items():
        (folder / name).write_bytes(data)
        said[name] = what
    write_sound(folder / "sound.mkv")
    said["sound.mkv"] = "sound alone"
    (folder / "gone.mp4").symlink_to("nowhere.mp4")
    said["gone.mp4"] = "a link to nothing"
    assert len(said) == 30, len(said)
    assert all(Path(name).suffix.lower() in VIDEOS for name in said)
    return said


def _noisy(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + random.Random(2).randbytes(2000) + data[middle + 2000 :]


BROKEN = (
    "empty.mp4", "gone.mp4", "header.mkv", "no-index.mp4", "noise.webm", "picture.mov", "sound.mkv", "text.avi",
)  # fmt: skip
"""Those of which nothing can be made."""


BY_HAND = "# With Ray: one worker and two"
"""The heading from which on the page is written by hand."""


class Shell:
    """Runs commands in `folder` and writes down what they say, as a terminal would show it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[str] = []

    def run(self, command: str, *, kill_behind: int | None = None) -> int:
        """kill_behind: SIGKILL when so many files are in `coded`, and a part of the next."""
        self.lines += ["", "```text", f"$ {command}"]
        words = command.split()
        environment = os.environ | {"PYTHONPATH": str(ROOT), "STPCODEC_CONFIG": "", "NO_COLOR": "1"}
        process = subprocess.Popen(
            [sys.executable, "-m", "stpcodec.cli.main", *words[1:]], cwd=self.folder, env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        while kill_behind is not None and process.poll() is None:
            made = list((self.folder / "coded").rglob("*.stp"))
            begun = [path.stat().st_size for path in (self.folder / "coded").glob(".*.partial")]
            if len(made) >= kill_behind and begun and begun[0] > 4096:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.002)
        said, _ = process.communicate()
        self.lines += [_without_speed(line) for line in said.rstrip().splitlines()]
        code = process.returncode
        self.lines += [f"(exit code {code})" if code >= 0 else f"(ended by {signal.Signals(-code).name})", "```"]
        return code


def _without_speed(line: str) -> str:
    """Frames a second differ from run to run."""
    return line.rpartition(", ")[0] if line.endswith(" fps") else line


def transcript(folder: Path) -> str:
    videos = folder / "videos"
    videos.mkdir()
    said = make_videos(videos)
    shell = Shell(folder)
    if shell.run(ENCODE, kill_behind=KILLED_BEHIND) != -signal.SIGKILL:
        raise SystemExit("the first run ended before it was to be killed")
    left = sorted(str(path.relative_to(folder / "coded")) for path in (folder / "coded").rglob("*") if path.is_file())
    killed, shell.lines = shell.lines, []
    first_code = shell.run(ENCODE)
    continued, shell.lines = shell.lines, []
    for name in BROKEN:
        (videos / name).unlink()
    shell.run(ENCODE)
    verified = shell.run("stpcodec verify --deep -r coded -q")
    after, shell.lines = shell.lines, []
    shell.run(ENCODE.replace("coded", "again") + " -q")
    same = all(
        path.read_bytes() == (folder / "coded" / path.relative_to(folder / "again")).read_bytes()
        for path in (folder / "again").rglob("*.stp")
    )
    count = len(list((folder / "again").rglob("*.stp")))
    if not same or verified != 0 or first_code == 0:
        raise SystemExit("the transcript does not show what it should; look at the runs")
    rows = [f"| `{name}` | {what} |" for name, what in sorted(said.items())]
    parts = [
        "# A batch of thirty files, killed in the middle",
        "",
        "Made by `python -m tests.batch_transcript docs/batch.md`; frames a second are left out.",
        "",
        "| file | what it is |",
        "|---|---|",
        *rows,
        "",
        f"The first run gets SIGKILL when {KILLED_BEHIND} outputs are there and a part of the next.",
        *killed,
        "",
        "What is in the folder then: `.stpcodec-batch.jsonl` is the journal, `.partial` the file that was worked on.",
        "",
        "```text",
        *left,
        "```",
        "",
        "The same command goes on. What was made before is skipped, the file in the middle is continued, broken ones",
        "are named and do not stop the others.",
        *continued,
        "",
        "Without the broken ones the same command ends with 0, and removes its journal.",
        *after,
        "",
        f"A run that nobody interrupts makes the same {count} files, byte by byte (the script compares them).",
        "",
    ]
    return "\n".join(parts)


def by_hand(page: Path) -> str:
    """What stands on the page behind the transcript, which is not of its making."""
    _, heading, rest = page.read_text(encoding="utf-8").partition(f"\n{BY_HAND}\n")
    return heading + rest


if __name__ == "__main__":
    page = Path(sys.argv[1])
    kept = by_hand(page) if page.exists() else ""
    with tempfile.TemporaryDirectory(prefix="stpcodec-") as name:
        page.write_text(transcript(Path(name)) + kept, encoding="utf-8")
