"""What is made of a network's weights once, when a model is loaded."""

from __future__ import annotations

import torch

from stpcodec.model.compiled_network import CompiledNetwork
from stpcodec.model.zoo import load_network


def constants(network: CompiledNetwork) -> list[torch.Tensor]:
    """All tensors below it, in a fixed order."""
    found: list[torch.Tensor] = []
    left: list[object] = [network]
    while left:
        one = left.pop()
        if isinstance(one, torch.Tensor):
            found.append(one)
        elif isinstance(one, dict):
            left.extend(one.values())
        elif isinstance(one, list | tuple):
            left.extend(one)
        elif type(one).__module__ == CompiledNetwork.__module__ and hasattr(one, "__dict__"):
            left.append(vars(one))
    return found


def test_constants_do_not_depend_on_threads() -> None:
    """Otherwise the pixels that are predicted from would, and with them the bytes of a file. Of the default model: the
    products of small ones are not shared among threads."""
    network = load_network("stp-s").intra
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(constants(CompiledNetwork(network, torch.bfloat16)))
    finally:
        torch.set_num_threads(before)
    assert len(found[0]) > 100
    for other in found[1:]:
        assert len(other) == len(found[0])
        assert all(torch.equal(one, two) for one, two in zip(found[0], other, strict=True))
