"""Pictures that a model brings along: in and out of a weights file, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from stpcodec.errors import ModelError
from stpcodec.model.library import (
    MOST_PICTURES,
    eight_bits,
    fitting,
    in_unit_range,
    library_tensors,
    nearest,
    read_library,
)
from stpcodec.model.planes import Planes
from stpcodec.model.zoo import load_model
from stpcodec.training.library import with_library
from tests.tiny_model import moving_planes

CPU = torch.device("cpu")
PATH = Path("weights")


def picture(seed: int, height: int = 64, width: int = 96) -> Planes:
    return eight_bits(moving_planes(1, height, width, seed=seed))


def test_eight_bits_are_within_half_a_step() -> None:
    exact = moving_planes(1, 64, 96, seed=1)
    assert (in_unit_range(eight_bits(exact)).y - exact.y).abs().max() <= 0.5 / 255 + 1e-6
    assert eight_bits(in_unit_range(picture(1))).y.equal(picture(1).y)
    assert eight_bits(exact.map(lambda plane: 3 * plane - 1)).y.unique()[[0, -1]].tolist() == [0, 255]


def test_pictures_come_back(tiny_weights: Path, tmp_path: Path) -> None:
    pictures = [picture(1), picture(2, 32, 48)]
    weights = with_library(tiny_weights, pictures, tmp_path, "yard")
    model = load_model(weights, device=CPU)
    assert model.name == "yard"
    for kept, given in zip(model.library, pictures, strict=True):
        for name in ("y", "u", "v"):
            assert torch.equal(getattr(kept, name), getattr(given, name))
    assert load_model(tiny_weights, device=CPU).library == ()
    again = load_model(with_library(weights, [], tmp_path), device=CPU)
    assert again.library == ()
    assert again.name == "yard"


def test_the_nearest_is_of_the_frames_size() -> None:
    frame = in_unit_range(picture(3))
    assert nearest(frame, []) is None
    assert nearest(frame, [picture(3, 32, 48)]) is None
    noisy = eight_bits(frame.map(lambda plane: plane + 0.02))
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
    assert len(fitting(small)) == MOST_PICTURES
    large = [Planes(*(torch.zeros(1, side, side, dtype=torch.uint8) for side in (4096, 2048, 2048)))] * 2
    with pytest.raises(ModelError, match=r"2 pictures, 50331648 bytes; there are at most 16 pictures and 33554432"):
        read_library(library_tensors(large), PATH, CPU)
    assert len(fitting([*small[:3], *large])) == 4
