"""Muon and Adam side by side."""

from __future__ import annotations

import copy

import torch

from stpcodec.training.optimiser import MuonAdam, is_matrix, orthogonalise
from tests.tiny_model import tiny_network


def test_orthogonalising_evens_out_singular_values() -> None:
    torch.manual_seed(0)
    for shape in ((3, 32, 32), (2, 24, 96), (2, 96, 24)):
        matrices = torch.randn(shape) @ torch.diag_embed(torch.logspace(0, -1, shape[2]))
        values = torch.linalg.svdvals(orthogonalise(matrices))
        assert values.shape == (shape[0], min(shape[1:]))
        assert values.max() < 1.35
        assert values.median() > 0.6
        before = torch.linalg.svdvals(matrices)
        assert (values.amax(1) / values.median(1).values < before.amax(1) / before.median(1).values).all()


def test_a_zero_gradient_moves_nothing() -> None:
    assert not orthogonalise(torch.zeros(1, 20, 20)).any()


def test_curves_of_quality_are_no_matrices() -> None:
    network = tiny_network()
    kinds = {name: is_matrix(name, parameter) for name, parameter in network.named_parameters()}
    assert kinds["inter.hyper_down.weight"]
    assert not kinds["inter.log_gain.points"]
    assert not kinds["inter.hyper_mix.weight"], "depthwise"
    assert not kinds["inter.analysis_enter.bias"]


def steps(network: torch.nn.Module, optimiser: MuonAdam, count: int, seed: int) -> None:
    """On a made-up problem: every parameter pulled towards two."""
    torch.manual_seed(seed)
    for _ in range(count):
        optimiser.zero_grad()
        sum((parameter - 2).square().sum() for parameter in network.parameters()).backward()  # type: ignore[union-attr]
        for group in optimiser.param_groups:
            group["lr"] = 1e-2 * group["scale"]
        optimiser.step()


def distance(network: torch.nn.Module) -> float:
    return sum(float((parameter.detach() - 2).square().sum()) for parameter in network.parameters())


def test_every_parameter_is_in_one_group_and_moves() -> None:
    network = tiny_network()
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    start = distance(network)
    optimiser = MuonAdam(network.named_parameters(), 1e-2)
    grouped = [id(parameter) for group in optimiser.param_groups for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(parameter) for parameter in network.parameters())
    steps(network, optimiser, 3, 0)
    assert distance(network) < start
    for name, parameter in network.named_parameters():
        assert not torch.equal(parameter, before[name]), name


def test_parameters_without_a_gradient_stay() -> None:
    """As when one of the networks trains alone."""
    network = tiny_network()
    before = [parameter.detach().clone() for parameter in network.intra.parameters()]
    optimiser = MuonAdam(network.named_parameters(), 1e-2)
    sum((parameter - 2).square().sum() for parameter in network.inter.parameters()).backward()  # type: ignore[union-attr]
    optimiser.step()
    assert all(torch.equal(was, now) for was, now in zip(before, network.intra.parameters(), strict=True))


def test_its_memory_is_saved_and_restored() -> None:
    network = tiny_network()
    optimiser = MuonAdam(network.named_parameters(), 1e-2)
    steps(network, optimiser, 2, 0)
    other = copy.deepcopy(network)
    continued = MuonAdam(other.named_parameters(), 1e-2)
    continued.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    steps(network, optimiser, 2, 1)
    steps(other, continued, 2, 1)
    for one, two in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two)
