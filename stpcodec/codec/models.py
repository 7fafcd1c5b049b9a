"""The one place where the conductors get a model from the zoo and put a codec around it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from stpcodec.codec.chunk import ChunkCodec
from stpcodec.container import StreamHeader
from stpcodec.errors import ModelError, UsageError
from stpcodec.model.zoo import list_models, load_model, resolve_device


@dataclass(frozen=True)
class LoadedCodec:
    """A chunk codec with the identity that goes into the stream header."""

    codec: ChunkCodec
    device: torch.device
    model: str
    weights_sha256: str


def load_codec(model: str | None, *, sha256: str | None = None, device: str = "auto") -> LoadedCodec:
    """The codec of a model name or weights file.

    Raises:
        ModelError: no such model, or its weights are not those of `sha256`.
        UsageError: no such device.
    """
    chosen = resolve_device(device)
    loaded = load_model(model, sha256=sha256, device=chosen)
    return LoadedCodec(ChunkCodec(loaded), chosen, loaded.name, loaded.weights_sha256)


def codec_of_file(header: StreamHeader, *, model: str | None = None, device: str = "auto") -> LoadedCodec:
    """The codec that a file was made with; its weights must be those the file names.

    model: a weights file, where the installation does not have the model. A name in a file is never taken for
    a path: files come from strangers.

    Raises:
        ModelError: the model is not here, or has other weights.
    """
    if model is None and header.model not in list_models():
        raise ModelError(
            f"model {header.model}: the file was made with it, this installation does not have it; "
            f"give its weights file with --model"
        )
    return load_codec(model or header.model, sha256=header.weights_sha256 or None, device=device)


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
