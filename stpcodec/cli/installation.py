"""What is installed: versions, models, devices, codecs. Loads torch."""

from __future__ import annotations

import hashlib
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import av
import torch

from stpcodec.model.folders import model_folders, models_in
from stpcodec.model.zoo import list_models

PACKAGES = (
    "torch", "av", "numpy", "numba", "zstandard", "xxhash", "safetensors", "msgpack", "typer", "rich",
)  # fmt: skip
ENCODERS = ("libx264", "libx265", "libsvtav1", "ffv1")
DECODERS = ("h264", "hevc", "vp9", "av1", "ffv1", "prores", "mpeg2video")


def versions() -> dict[str, str]:
    """Of Python and of the packages that the codec is built on; "missing" where there is none."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found


def model_names() -> list[str]:
    """`NAME (first digits of the sha256)` of the package's models and those of one's own folders."""
    names = [name if path is None else f"{name} ({path.stem[-8:]})" for name, path in list_models().items()]
    own = models_in(model_folders())
    return names + [f"{name} ({path.stem[-8:]}, {path.parent})" for name, paths in own.items() for path in paths]


def damaged_models() -> list[Path]:
    """Weights of the package and of one's own folders whose content is not what their name says."""
    own = [path for paths in models_in(model_folders()).values() for path in paths]
    files = [path for path in list_models().values() if path is not None] + own
    return [path for path in files if not hashlib.sha256(path.read_bytes()).hexdigest().startswith(path.stem[-8:])]


def device_names() -> list[str]:
    names = [f"cpu ({os.cpu_count()} cores, {torch.get_num_threads()} threads)"]
    names += [f"cuda:{n} ({torch.cuda.get_device_name(n)})" for n in range(torch.cuda.device_count())]
    return names + (["mps"] if torch.backends.mps.is_available() else [])


def missing_codecs() -> list[str]:
    wanted = [(name, "w") for name in ENCODERS] + [(name, "r") for name in DECODERS]
    return [name for name, mode in wanted if not _has(name, mode)]


def _has(name: str, mode: str) -> bool:
    try:
        av.codec.Codec(name, mode)  # type: ignore[arg-type]
    except ValueError:
        return False
    return True
