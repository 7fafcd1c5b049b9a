"""The one place where the conductors get a model from the zoo and put a codec around it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from stpcodec.codec.chunk import ChunkCodec
from stpcodec.container import StreamHeader
from stpcodec.errors import ModelError, UsageError
from stpcodec.model.folders import SUFFIX, find_sha256, model_folders
from stpcodec.model.zoo import list_models, load_model, resolve_device


@dataclass(frozen=True)
class LoadedCodec:
    """A chunk codec with the identity that goes into the stream header."""

    codec: ChunkCodec
    device: torch.device
    model: str
    weights_sha256: str


class LoadCodec(Protocol):
    """How a conductor gets its codec: as `load_codec`."""

    def __call__(
        self,
        model: str | None,
        *,
        sha256: str | None = None,
        device: str = "auto",
        model_dir: str | Path | None = None,
    ) -> LoadedCodec: ...


def load_codec(
    model: str | None, *, sha256: str | None = None, device: str = "auto", model_dir: str | Path | None = None
) -> LoadedCodec:
    """The codec of a model name or weights file; model_dir: a folder of models to look into first.

    Raises:
        ModelError: no such model, or its weights are not those of `sha256`.
        UsageError: no such device.
    """
    chosen = resolve_device(device)
    loaded = load_model(model, sha256=sha256, device=chosen, model_dir=model_dir)
    return LoadedCodec(ChunkCodec(loaded), chosen, loaded.name, loaded.weights_sha256)


class CodecCache:
    """`load_codec` for several files in a row: what was loaded once is kept."""

    def __init__(self) -> None:
        self._loaded: dict[tuple[str | None, str | Path | None, str], LoadedCodec] = {}

    def __call__(
        self,
        model: str | None,
        *,
        sha256: str | None = None,
        device: str = "auto",
        model_dir: str | Path | None = None,
    ) -> LoadedCodec:
        for (_, _, on), loaded in self._loaded.items():
            if sha256 and loaded.weights_sha256 == sha256 and on == device:
                return loaded  # whatever it was called then
        key = (model, model_dir, device)
        if key not in self._loaded or sha256:
            self._loaded[key] = load_codec(model, sha256=sha256, device=device, model_dir=model_dir)
        return self._loaded[key]


def codec_of_file(
    header: StreamHeader,
    *,
    name: str = "",
    model: str | None = None,
    device: str = "auto",
    model_dir: str | Path | None = None,
    load: LoadCodec | None = None,
) -> LoadedCodec:
    """The codec that a file was made with; its weights must be those the file names.

    name: the file's, for errors. model: a name or weights file, to skip the search. Otherwise the weights are searched
    by their sha256: in the package, then in the folders of models (model_dir first). A name in a file is never taken
    for a path: files come from strangers.

    Raises:
        ModelError: the model is not here, or has other weights.
    """
    sha256 = header.weights_sha256 or None
    try:
        chosen = model or _model_of(header, model_folders(model_dir))
        return (load or load_codec)(chosen, sha256=sha256, device=device, model_dir=model_dir)
    except ModelError as error:
        raise ModelError(f"{name}: {error}" if name else str(error)) from error


def _model_of(header: StreamHeader, folders: list[Path]) -> str:
    installed, sha256 = list_models(), header.weights_sha256
    if header.model in installed:
        path = installed[header.model]
        if path is None or not sha256 or path.stem.endswith(f"-{sha256[:8]}"):
            return header.model
    found = find_sha256(sha256, folders) if sha256 else None
    if found is None:
        weights = f", weights {sha256}" if sha256 else ""
        version = "install the version of stpcodec that made it, or " if header.model in installed else ""
        raise ModelError(
            f"model {header.model}{weights}: the file was made with it, and it is neither in this installation nor in "
            f"{', '.join(map(str, folders))}; {version}get its weights file ({header.model}-{sha256[:8]}{SUFFIX}) from "
            f"whoever made the file, and put it there or name it with --model"
        )
    return str(found)


@contextmanager
def thread_limit(threads: int | None) -> Iterator[None]:
    """Let torch use `threads` CPU threads inside the block; None: leave it as it is."""
    if threads is None:
        yield
        return
    if threads < 1:
        raise UsageError(f"threads {threads}: must be at least 1")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
