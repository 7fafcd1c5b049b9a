"""`python -m tests.fuzz.kills`: kill -9 at 20 random moments of an encode, then `--resume`: the same file, or not."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.codec.clips import pictures, write_video

KILLS = 20


def main() -> int:
    chance = random.Random(1)
    same = killed = left = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = write_video(folder / "in.mkv", pictures(120, height=144, width=176), sound=True)
        source_bytes = source.read_bytes()
        options = ["--model", "dct", "--segment-frames", "8", "--threads", "1", "-q"]

        def command(target: str, *more: str) -> list[str]:
            return [sys.executable, "-m", "stpcodec.cli.main", "encode", str(source), target, *options, *more]

        start = time.monotonic()
        subprocess.run(command(str(folder / "whole.stp")), check=True)
        lasts = time.monotonic() - start
        whole, target = (folder / "whole.stp").read_bytes(), folder / "x.stp"
        for _ in range(KILLS):
            process = subprocess.Popen(command(str(target)))
            time.sleep(chance.uniform(0, lasts))
            process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL and not target.exists()
            subprocess.run(command(str(target), "--resume", "--overwrite"), check=True, stderr=subprocess.DEVNULL)
            same += target.read_bytes() == whole
            target.unlink()
            left += len(list(folder.iterdir())) - 2
        untouched = source.read_bytes() == source_bytes
    print(f"{KILLS} kills in an encode of {lasts:.1f} s, {killed} before its end: {same} times the identical file,")
    print(f"{left} files left over, input {'untouched' if untouched else 'CHANGED'}")
    return 0 if same == KILLS and untouched and not left else 1


if __name__ == "__main__":
    sys.exit(main())
