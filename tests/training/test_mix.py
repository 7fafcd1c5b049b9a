"""Weights between two models': the networks move, the tables stay, and the file codes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from stpcodec.errors import ModelError
from stpcodec.model.zoo import load_model, load_network
from stpcodec.training.checkpoint import Checkpoint, save_checkpoint
from stpcodec.training.mix import main, mix
from tests.tiny_model import tiny_network


@pytest.fixture
def other(tiny_weights: Path, tmp_path: Path) -> Path:
    """A checkpoint trained on from the tiny model: every parameter larger by a quarter."""
    network = load_network(str(tiny_weights))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.25)
    save_checkpoint(tmp_path / "best.pt", Checkpoint.fresh(network), optimiser=None)
    return tmp_path / "best.pt"


def test_half_the_way_of_one_network(
    tiny_weights: Path, other: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tiny_weights), str(other), "--part", "inter", "--out", str(tmp_path / "out")]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path.parent == tmp_path / "out"
    load_model(path, device=torch.device("cpu"))
    start, found = load_network(str(tiny_weights)), load_network(str(path))
    for before, after in zip(start.intra.parameters(), found.intra.parameters(), strict=True):
        assert torch.equal(before, after)
    moved = zip(start.inter.synthesis_enter.parameters(), found.inter.synthesis_enter.parameters(), strict=True)
    for before, after in moved:
        assert torch.allclose(after, 1.125 * before, rtol=2e-3, atol=1e-6)
    with safe_open(tiny_weights, "pt") as one, safe_open(path, "pt") as two:
        for name in ("tables.inter.y", "tables.inter.z", "tables.intra.y", "tables.motion", "tables.blend"):
            assert torch.equal(one.get_tensor(name), two.get_tensor(name)), name


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_ends_are_the_two_models(share: float) -> None:
    one, two, kept = tiny_network(), tiny_network(), tiny_network()
    with torch.no_grad():
        for parameter in two.parameters():
            parameter.add_(0.5)
    mix(one, two, share)
    expected = two if share else kept
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), expected.parameters(), strict=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"--share": "1.5"}, "--share is 1.5"),
        ({"other": "nothing.pt"}, "nothing.pt: there is no such checkpoint"),
        ({"other": "stp-s"}, "different architectures"),
        ({"weights": "bogus"}, "model bogus"),
    ],
)
def test_what_cannot_be(
    changes: dict[str, str], message: str, tiny_weights: Path, other: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    given = {"weights": str(tiny_weights), "other": str(other), "--share": "0.5", **changes}
    code = main([given["weights"], given["other"], "--share", given["--share"], "--out", str(tmp_path / "out")])
    assert code != 0
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_another_architecture_is_no_neighbour(tiny_weights: Path) -> None:
    with pytest.raises(ModelError, match="different architectures"):
        mix(load_network(str(tiny_weights)), load_network("stp-s"), 0.5)
