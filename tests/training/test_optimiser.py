"""Muon's orthogonalisation, and which parameters it takes."""

from __future__ import annotations

import pytest
import torch

from stpcodec.model.network import StpNetwork
from stpcodec.training.optimiser import MuonAdam, is_matrix, orthogonalise
from tests.tiny_model import TINY


@pytest.mark.parametrize("shape", [(24, 24), (24, 96), (96, 24)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape: tuple[int, int]) -> None:
    """Of any that are not lost against the largest: a tenth of it is already lifted."""
    u, _, v = torch.linalg.svd(torch.randn(3, *shape, generator=torch.Generator().manual_seed(0)), full_matrices=False)
    matrices = u * torch.linspace(0.1, 1.0, min(shape)) @ v
    singular = torch.linalg.svdvals(orthogonalise(matrices))
    assert singular.min() > 0.5
    assert singular.max() < 1.3


def test_every_parameter_is_in_one_group() -> None:
    network = StpNetwork(TINY)
    groups = MuonAdam(network.named_parameters(), 1e-3).param_groups
    members = [id(parameter) for group in groups for parameter in group["params"]]
    assert len(members) == len(set(members)) == len(list(network.parameters()))


def test_tables_the_prior_and_depthwise_kernels_are_no_matrices() -> None:
    big, kernel = torch.nn.Parameter(torch.zeros(32, 32)), torch.nn.Parameter(torch.zeros(32, 1, 3, 3))
    assert is_matrix("inter.analysis_enter.weight", big)
    assert not is_matrix("inter.log_gain.points", big)
    assert not is_matrix("inter.prior.join.weight", big)
    assert not is_matrix("inter.hyper_mix.weight", kernel)


def test_it_minimises() -> None:
    """A matrix (Muon) and a bias (Adam) fit a linear map; parameters without a gradient stay."""
    generator = torch.Generator().manual_seed(1)
    target = torch.randn(32, 32, generator=generator) / 6
    matrix, bias, idle = (torch.nn.Parameter(torch.zeros(shape)) for shape in ((32, 32), (32, 1), (32, 32)))
    optimiser = MuonAdam((("a.weight", matrix), ("a.bias", bias), ("b.weight", idle)), 5e-3)
    x = torch.randn(32, 256, generator=generator)
    losses = []
    for _ in range(200):
        loss = (matrix @ x + bias - target @ x - 0.3).square().mean()
        losses.append(loss.item())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.2 * losses[0]
    assert not idle.any()
