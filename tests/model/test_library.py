"""Pictures that a model brings along: in and out of a weights file, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from stpcodec.errors import ModelError
from stpcodec.model.library import MOST_PICTURES, library_tensors, nearest, read_library
from stpcodec.model.planes import Planes
from stpcodec.model.zoo import load_model
from stpcodec.training.library import with_library
from tests.tiny_model import moving_planes

CPU = torch.device("cpu")
PATH = Path("weights")


def picture(seed: int, height: int = 64, width: int = 96) -> Planes:
    return moving_planes(1, height, width, seed=seed)


def test_pictures_come_back_as_eight_bits(tiny_weights: Path, tmp_path: Path) -> None:
    pictures = [picture(1), picture(2, 32, 48)]
    weights = with_library(tiny_weights, pictures, tmp_path, "yard")
    model = load_model(weights, device=CPU)
    assert model.name == "yard"
    for kept, given in zip(model.library, pictures, strict=True):
        for name in ("y", "u", "v"):
            own, other = getattr(kept, name), getattr(given, name)
            assert own.shape == other.shape
            assert (own - other).abs().max() <= 0.5 / 255 + 1e-6
            assert torch.equal((255 * own).round() / 255, own)
    assert load_model(tiny_weights, device=CPU).library == ()
    again = load_model(with_library(weights, [], tmp_path), device=CPU)
    assert again.library == ()
    assert again.name == "yard"


def test_the_nearest_is_of_the_frames_size() -> None:
    frame = picture(3)
    assert nearest(frame, []) is None
    assert nearest(frame, [picture(3, 32, 48)]) is None
    noisy = frame.map(lambda plane: (plane + 0.02).clamp(0, 1))
    assert nearest(frame, [picture(3, 32, 48), picture(4), noisy, picture(5)]) == 2


def forged(**changes: Tensor | None) -> dict[str, Tensor]:
    tensors = library_tensors([picture(1)])
    for name, value in changes.items():
        if value is None:
            del tensors[f"library.0.{name}"]
        else:
            tensors[f"library.0.{name}"] = value
    return tensors


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"v": None}, "are not those of"),
        ({"w": torch.zeros(32, 48, dtype=torch.uint8)}, "are not those of"),
        ({"y": torch.zeros(64, 96)}, "not 4:2:0 of uint8"),
        ({"y": torch.zeros(1, 64, 96, dtype=torch.uint8)}, "not 4:2:0 of uint8"),
        ({"y": torch.zeros(64, 100, dtype=torch.uint8)}, "not 4:2:0 of uint8"),
        ({"y": torch.zeros(0, 96, dtype=torch.uint8)}, "not 4:2:0 of uint8"),
        ({"u": torch.zeros(32, 49, dtype=torch.uint8)}, "not 4:2:0 of uint8"),
    ],
    ids=["a plane missing", "one too many", "floats", "three dimensions", "odd", "empty", "other chroma"],
)
def test_what_is_no_library_is_refused(changes: dict[str, Tensor | None], words: str) -> None:
    with pytest.raises(ModelError, match=f"weights: .*{words}"):
        read_library(forged(**changes), PATH, CPU)


def test_too_many_pictures_are_refused() -> None:
    small = [picture(1, 16, 16)] * (MOST_PICTURES + 1)
    with pytest.raises(ModelError, match=f"a library of {MOST_PICTURES + 1} pictures"):
        read_library(library_tensors(small), PATH, CPU)
    assert len(read_library(library_tensors(small[1:]), PATH, CPU)) == MOST_PICTURES
