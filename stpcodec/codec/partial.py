"""The unfinished output of a long encode, under a name that the next run finds: `.NAME.partial` beside the target.

    first run          .out.stp.partial ── killed
    encode --resume    .out.stp.partial → .out.stp.partial.before, its segments copied into a new .out.stp.partial
                       .out.stp.partial ── complete ─► out.stp

A lock tells the leftover of a dead run from the file of a running one. Where there are no locks (Windows), or the file
is somebody else's, the caller takes a name that nobody knows, and nothing can be resumed.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_LONGEST_NAME = 200  # of 255 bytes that file systems allow


@dataclass(frozen=True)
class Partial:
    """A locked, empty file at `path`; `leftover` is what an interrupted run got done, or None."""

    path: Path
    leftover: Path | None
    descriptor: int

    def release(self) -> None:
        os.close(self.descriptor)


def has_leftover(target: Path) -> bool:
    """Whether a killed run may have left a part of `target`; one that runs now looks the same, and is not disturbed."""
    path = partial_path(Path(os.path.realpath(target)))
    return any(part.is_file() and part.stat().st_size for part in (path, path.with_name(path.name + ".before")))


def remove_twin(target: Path) -> None:
    """Remove the partial file of a run that was killed between giving it its final name and taking the other away."""
    path = partial_path(Path(os.path.realpath(target)))
    try:
        if os.path.samefile(path, target):
            path.unlink()
    except OSError:
        pass  # as a rule there is none


def partial_path(final: Path) -> Path:
    return final.with_name(f".{final.name}.partial")


def claim(final: Path, *, resume: bool) -> Partial | None:
    """The partial file of `final`; None where the name cannot be had. Without `resume` leftovers are removed."""
    if fcntl is None or len(os.fsencode(final.name)) > _LONGEST_NAME:
        return None
    path = partial_path(final)
    before = path.with_name(path.name + ".before")
    descriptor = _open_locked(path)
    if descriptor is None:
        return None
    if not resume:
        before.unlink(missing_ok=True)
        os.ftruncate(descriptor, 0)
        return Partial(path, None, descriptor)
    # both are there when a run was killed while it copied: the longer one has all that the other has
    longer = os.fstat(descriptor).st_size >= (before.stat().st_size if before.is_file() else 1)
    if longer:
        os.replace(path, before)
        os.close(descriptor)
        descriptor = _open_locked(path)
        if descriptor is None:
            return None
    os.ftruncate(descriptor, 0)
    return Partial(path, before if before.is_file() and not before.is_symlink() else None, descriptor)


def _open_locked(path: Path) -> int | None:
    """A descriptor of the regular file of ours at `path`, made if there is none; None if somebody else has it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError:  # what cannot be written at all is said by the caller, who tries another name
        return None
    try:
        state = os.fstat(descriptor)
        if stat.S_ISREG(state.st_mode) and state.st_uid == os.geteuid() and state.st_nlink == 1:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None
