"""The conductors with a fake chunk codec: what is tested here is theirs, not the model's."""

from __future__ import annotations

import pytest
import torch

from stpcodec.errors import ModelError
from tests.codec.fake_codec import FakeChunkCodec

FAKE_SHA256 = "ab" * 32


@pytest.fixture
def fake_codec(monkeypatch: pytest.MonkeyPatch) -> FakeChunkCodec:
    """`load_codec` yields this codec under the name "fake", in the encoder and for every reader."""
    from stpcodec.codec import encoder, models

    codec = FakeChunkCodec()

    def load_codec(
        model: str | None, *, sha256: str | None = None, device: str = "auto", model_dir: object = None
    ) -> models.LoadedCodec:
        if sha256 is not None and sha256 != FAKE_SHA256:
            raise ModelError(f"weights {sha256[:8]} are not here; install the version that has them")
        return models.LoadedCodec(codec, torch.device("cpu"), "fake", FAKE_SHA256)  # type: ignore[arg-type]

    monkeypatch.setattr(models, "load_codec", load_codec)
    monkeypatch.setattr(encoder, "load_codec", load_codec)
    monkeypatch.setattr(models, "list_models", lambda: {"fake": None})
    return codec
