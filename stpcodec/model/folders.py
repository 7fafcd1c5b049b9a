"""Folders of models beside the package's own: what `finetune` writes, and where `encode` and `decode` look.

A model there is named as in the package, ``NAME-<first 8 of the file's sha256>.safetensors``. A .stp file names its
weights by their sha256; what is in a file never becomes a path.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from stpcodec.errors import ModelError

ENVIRONMENT = "STPCODEC_MODELS"
SUFFIX = ".safetensors"
LARGEST_FILE = 256 * 2**20
_STEM = re.compile(r"(?P<name>.+)-(?P<digits>[0-9a-f]{8})")


def user_folder() -> Path:
    """The per-user data folder of the platform; it need not exist."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    return base / "stpcodec/models"


def model_folders(first: str | Path | None = None) -> list[Path]:
    """`first`, those that $STPCODEC_MODELS names (separated as in PATH), the user's; existing or not.

    The first of the list is where a new model is written.
    """
    named = [part for part in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if part]
    folders = [*([Path(first)] if first else []), *map(Path, named), user_folder()]
    return list(dict.fromkeys(folder.expanduser() for folder in folders))


def models_in(folders: Sequence[Path]) -> dict[str, list[Path]]:
    """Models by name, several files where a name has several weights; those of earlier folders first."""
    found: dict[str, list[Path]] = {}
    for path in _files(folders):
        match = _STEM.fullmatch(path.stem)
        if match:
            found.setdefault(match["name"], []).append(path)
    return found


def find_named(name: str, folders: Sequence[Path]) -> Path | None:
    """The weights file of a model's name, or of its name with digits (``mine-1a2b3c4d``); None when there is none.

    Raises ModelError when the name stands for several different weights.
    """
    for path in _files(folders):
        if path.stem == name:
            return path
    paths = {path.stem: path for path in reversed(models_in(folders).get(name, []))}
    if len(paths) > 1:
        raise ModelError(
            f"model {name}: there are several of this name ({', '.join(sorted(paths))}); name one with its digits"
        )
    return next(iter(paths.values()), None)


def find_sha256(sha256: str, folders: Sequence[Path]) -> Path | None:
    """The file with this content, whatever it is called; None when there is none."""
    # By name first: a file that has the digits is nearly always the one, and hashing all takes time.
    for path in sorted(_files(folders), key=lambda path: not path.stem.endswith(sha256[:8])):
        try:
            if path.stat().st_size <= LARGEST_FILE and hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
                return path
        except OSError:
            continue  # another user's, perhaps: not to be had is as good as not there
    return None


def _files(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        try:
            yield from sorted(path for path in folder.glob(f"*{SUFFIX}") if path.is_file())
        except OSError:
            continue
