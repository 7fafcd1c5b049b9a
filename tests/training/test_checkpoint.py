"""A run's state on disk."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stpcodec.errors import ModelError
from stpcodec.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tests.tiny_model import TINY, tiny_network

CPU = torch.device("cpu")


def stepped(state: Checkpoint, seed: int = 0) -> torch.optim.Optimizer:
    """The state after one step on made-up gradients."""
    optimiser = state.optimiser(1e-2)
    torch.manual_seed(seed)
    for parameter in state.network.parameters():
        parameter.grad = torch.randn_like(parameter)
    for group in optimiser.param_groups:
        group["lr"] = 1e-2 * group["scale"]
    optimiser.step()
    state.step += 1
    state.update_average()
    return optimiser


def weights(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def test_everything_comes_back(tmp_path: Path) -> None:
    state = Checkpoint.fresh(tiny_network())
    optimiser = stepped(state)
    state.minutes, state.skipped, state.best_score = 12.5, 3, -1.25
    save_checkpoint(tmp_path / "last.pt", state, optimiser=optimiser)
    found = load_checkpoint(tmp_path / "last.pt", CPU)
    assert found is not None
    assert (found.step, found.minutes, found.skipped, found.best_score) == (1, 12.5, 3, -1.25)
    assert found.network.config == TINY
    assert torch.equal(weights(found.network), weights(state.network))
    assert torch.equal(weights(found.average), weights(state.average))
    assert not any(parameter.requires_grad for parameter in found.average.parameters())
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


def test_continuing_is_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    """The optimiser's memory too: a second step after loading equals the second step without."""
    state = Checkpoint.fresh(tiny_network())
    optimiser = stepped(state)
    save_checkpoint(tmp_path / "last.pt", state, optimiser=optimiser)
    found = load_checkpoint(tmp_path / "last.pt", CPU)
    assert found is not None
    stepped(found, seed=1)
    state.optimiser_state = optimiser.state_dict()
    stepped(state, seed=1)
    torch.testing.assert_close(weights(found.network), weights(state.network))
    torch.testing.assert_close(weights(found.average), weights(state.average))


def test_the_best_weights_need_no_optimiser(tmp_path: Path) -> None:
    state = Checkpoint.fresh(tiny_network())
    stepped(state)
    save_checkpoint(tmp_path / "best.pt", state, optimiser=None)
    found = load_checkpoint(tmp_path / "best.pt", CPU)
    assert found is not None
    assert torch.equal(weights(found.average), weights(state.average))
    assert torch.equal(weights(found.network), weights(state.average)), "it continues from the average"
    assert found.optimiser_state is None


def test_the_linear_path_learns_slower() -> None:
    state = Checkpoint.fresh(tiny_network())
    before = {name: parameter.detach().clone() for name, parameter in state.network.named_parameters()}
    stepped(state)
    change = {name: (p.detach() - before[name]).abs().mean().item() for name, p in state.network.named_parameters()}
    slow = max(value for name, value in change.items() if ".linear." in name)
    others = [value for name, value in change.items() if ".linear." not in name]
    assert slow < 0.5 * sorted(others)[len(others) // 2]


def test_the_average_follows(tmp_path: Path) -> None:
    state = Checkpoint.fresh(tiny_network())
    start = weights(state.average).clone()
    for seed in range(20):
        stepped(state, seed)
    moved, target = weights(state.average) - start, weights(state.network) - start
    share = float((moved @ target) / (target @ target))
    assert 0.3 < share < 1


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "last.pt", CPU) is None


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("evil-was-here"),))


def _write(path: Path, kind: str) -> None:
    if kind == "text":
        path.write_text("not a checkpoint")
    elif kind == "table":
        path.write_text("step,minutes,score\n1,0.5,-1\n")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "cut":
        save_checkpoint(path, Checkpoint.fresh(tiny_network()), optimiser=None)
        path.write_bytes(path.read_bytes()[:5000])
    elif kind == "code":
        torch.save({"config": Evil()}, path)
    elif kind == "pickle":
        path.write_bytes(pickle.dumps({"config": Evil()}, protocol=2))
    elif kind == "other content":
        torch.save({"hello": 1}, path)
    elif kind == "list":
        torch.save([1, 2], path)
    elif kind == "other sizes":
        state = Checkpoint.fresh(tiny_network())
        save_checkpoint(path, state, optimiser=None)
        content = torch.load(path, weights_only=True)
        content["config"] = replace(TINY, inter=replace(TINY.inter, latents=20)).to_json()
        torch.save(content, path)


@pytest.mark.parametrize(
    "kind", ["text", "table", "empty", "cut", "code", "pickle", "other content", "list", "other sizes"]
)
def test_files_that_are_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.chdir(tmp_path)
    _write(tmp_path / "last.pt", kind)
    with pytest.raises(ModelError, match=r"last\.pt: not a checkpoint") as caught:
        load_checkpoint(tmp_path / "last.pt", CPU)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "evil-was-here").exists(), "code of a checkpoint is never run"


def test_another_optimisers_state_is_refused(tmp_path: Path) -> None:
    state = Checkpoint.fresh(tiny_network())
    optimiser = torch.optim.SGD(state.network.parameters(), lr=0.1)
    save_checkpoint(tmp_path / "last.pt", state, optimiser=optimiser)
    found = load_checkpoint(tmp_path / "last.pt", CPU)
    assert found is not None
    with pytest.raises(ModelError, match="optimiser is of another version"):
        found.optimiser(1e-3)


def test_a_kill_while_saving_keeps_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = Checkpoint.fresh(tiny_network())
    save_checkpoint(tmp_path / "last.pt", state, optimiser=None)
    before = (tmp_path / "last.pt").read_bytes()

    def die(content: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", die)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path / "last.pt", state, optimiser=None)
    assert (tmp_path / "last.pt").read_bytes() == before
