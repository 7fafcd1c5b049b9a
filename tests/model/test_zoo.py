"""Finding, checking and loading models; and that a weights file says exactly what the network said."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from stpcodec.errors import ModelError, UsageError
from stpcodec.model import zoo
from stpcodec.model.config import ModelConfig
from stpcodec.model.learned import LearnedTransform
from stpcodec.model.prior import IntegerLayer
from stpcodec.model.zoo import list_models, load_model, load_network, resolve_device
from tests.tiny_model import TINY, tiny_network, write_tiny_weights

CPU = torch.device("cpu")
Tensors = dict[str, torch.Tensor]


def test_a_weights_file_loads_under_its_own_name(tiny_weights: Path) -> None:
    model = load_model(tiny_weights, device=CPU)
    digest = hashlib.sha256(tiny_weights.read_bytes()).hexdigest()
    assert (model.name, model.weights_sha256) == ("tiny", digest)
    assert tiny_weights.name == f"tiny-{digest[:8]}.safetensors"
    assert (model.intra.frames, model.inter.frames) == (1, 1)
    assert load_model(str(tiny_weights), sha256=digest, device=CPU).weights_sha256 == digest


def test_export_and_load_keep_the_priors_integers(tiny_weights: Path) -> None:
    """The file's half-precision weights freeze to the integers the trained network computed with."""
    network, model = tiny_network(), load_model(tiny_weights, device=CPU)
    for trained, transform in ((network.intra, model.intra), (network.inter, model.inter)):
        assert isinstance(transform, LearnedTransform)
        loaded = dict(transform.network.prior.named_modules())
        for name, layer in trained.prior.named_modules():
            if isinstance(layer, IntegerLayer):
                other = loaded[name]
                assert isinstance(other, IntegerLayer)
                assert other.frozen is not None
                for mine, theirs in zip(layer.integers(), other.frozen, strict=True):
                    assert torch.equal(mine.detach(), theirs), name
        assert transform.network.prior.frozen is not None
        for name, table in trained.prior.quality_integers().items():
            assert torch.equal(table.float(), transform.network.prior.frozen[name])


def test_loading_and_exporting_again_changes_nothing_of_the_prior(tiny_weights: Path) -> None:
    """`train --start weights` begins where the weights are."""
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    network = load_network(str(tiny_weights))
    assert torch.equal(torch.rand(3), expected), "loading draws no random numbers"
    first = tiny_network()
    for (name, layer), other in zip(network.named_modules(), first.modules(), strict=True):
        if isinstance(layer, IntegerLayer):
            assert isinstance(other, IntegerLayer)
            for mine, theirs in zip(layer.integers(), other.integers(), strict=True):
                assert torch.equal(mine, theirs), name
    assert all(parameter.requires_grad for parameter in network.parameters()), "it can be trained"


def test_the_same_network_is_the_same_file(tiny_weights: Path, tmp_path: Path) -> None:
    assert write_tiny_weights(tmp_path).read_bytes() == tiny_weights.read_bytes()


def test_the_default_model_is_in_the_package() -> None:
    model = load_model(None, device=CPU)
    path = list_models()[zoo.DEFAULT_MODEL]
    assert path is not None
    assert path.stem == f"{model.name}-{model.weights_sha256[:8]}", "named with its own hash"
    assert model.name == "stp-s"


def test_dct_needs_no_file() -> None:
    assert list_models()["dct"] is None
    model = load_model("dct", device=CPU)
    assert load_model("dct", sha256=model.weights_sha256, device=CPU).name == "dct"


@pytest.mark.parametrize("name", ["dct", "tiny"])
def test_other_weights_are_refused(name: str, tiny_weights: Path) -> None:
    with pytest.raises(ModelError, match="was made with weights 01234567") as caught:
        load_model(name if name == "dct" else tiny_weights, sha256="01234567" * 8, device=CPU)
    assert caught.value.exit_code == 6


@pytest.mark.parametrize("name", ["nothing", "folder/nothing.safetensors", "."])
def test_a_missing_model_is_named(name: str) -> None:
    message = r"neither a model of this installation \(dct.*\) nor a weights file"
    with pytest.raises(ModelError, match=message) as caught:
        load_model(name, device=CPU)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"hello", bytes(100), b"\xff" * 64, b"\x08\0\0\0\0\0\0\0{}      "],
    ids=["empty", "text", "zeros", "ones", "no config"],
)  # fmt: skip
def test_a_file_that_is_no_weights_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        load_model(path, device=CPU)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.001, 0.3, 0.999])
def test_a_cut_weights_file(tmp_path: Path, tiny_weights: Path, share: float) -> None:
    data = tiny_weights.read_bytes()
    path = tmp_path / "cut.safetensors"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ModelError, match="not a weights file"):
        load_model(path, device=CPU)


def test_an_unreadable_weights_file(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ModelError, match=r"not a weights file .*Permission denied"):
        load_model(tiny_weights, device=CPU)


def test_a_file_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_weights: Path) -> None:
    monkeypatch.setattr(zoo, "LARGEST_FILE", 1000)
    with pytest.raises(ModelError, match="at most 1000"):
        load_model(tiny_weights, device=CPU)


def rewrite(source: Path, target: Path, change: Callable[[Tensors], None], config: ModelConfig = TINY) -> Path:
    with safe_open(source, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    change(tensors)
    save_file(tensors, target, {"config": config.to_json()})
    return target


def drop(key: str) -> Callable[[Tensors], None]:
    return lambda tensors: tensors.__delitem__(key)


def cut_rows(key: str) -> Callable[[Tensors], None]:
    return lambda tensors: tensors.update({key: tensors[key][:-1].contiguous()})


def fill(key: str, value: float) -> Callable[[Tensors], None]:
    return lambda tensors: tensors.update({key: torch.full_like(tensors[key], value)})


def retype(key: str) -> Callable[[Tensors], None]:
    return lambda tensors: tensors.update({key: tensors[key].float()})


CHANGES: dict[str, tuple[Callable[[Tensors], None], str]] = {
    "a tensor less": (drop("intra.analysis_enter.weight"), "analysis_enter"),
    "a tensor more": (lambda tensors: tensors.update({"intra.other": torch.ones(3)}), "other"),
    "wrong shape": (cut_rows("inter.synthesis_enter.weight"), "synthesis_enter"),
    "not a number": (fill("intra.log_gain.points", float("nan")), "intra.log_gain.points holds"),
    "infinite": (fill("inter.prior.join.bias", float("inf")), "inter.prior.join.bias holds"),
    "overflow": (fill("inter.prior.join.bias", 1e9), r"inter\.join: a sum"),
    "no table": (drop("tables.intra.y"), r"tables\.intra\.y is missing"),
    "table of floats": (retype("tables.inter.z"), r"tables\.inter\.z is missing or not"),
    "short table": (cut_rows("tables.intra.y"), r"tables\.intra\.y is \(63, 82\), expected \(64, None\)"),
    "short z table": (cut_rows("tables.inter.z"), r"tables\.inter\.z is \(63, 16\), expected \(64, None\)"),
    "short motion table": (cut_rows("tables.motion"), r"tables\.motion is \(1439, 66\), expected \(1440, 66\)"),
    "no blend table": (drop("tables.blend"), r"tables\.blend is missing"),
    "short blend table": (cut_rows("tables.blend"), r"tables\.blend is \(53, 4\), expected \(54, 4\)"),
    "short quality table": (cut_rows("tables.intra.join_quality"), r"join_quality is \(99, 16\)"),
    "impossible counts": (fill("tables.intra.y", 0), "probability tables hold counts 0"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_tensors_that_do_not_fit(tmp_path: Path, tiny_weights: Path, change: str) -> None:
    function, message = CHANGES[change]
    path = rewrite(tiny_weights, tmp_path / "changed.safetensors", function)
    with pytest.raises(ModelError, match=message) as caught:
        load_model(path, device=CPU)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_configuration_of_another_size(tmp_path: Path, tiny_weights: Path) -> None:
    """Refused by comparing shapes, before anything of the larger size is allocated."""
    huge = {"width": 4096, "wide": 4096, "latents": 4096, "synthesis_depth": 64}
    config = ModelConfig("tiny", TINY.intra, type(TINY.inter)(**{**TINY.inter.__dict__, **huge}))
    path = rewrite(tiny_weights, tmp_path / "huge.safetensors", lambda tensors: None, config)
    with pytest.raises(ModelError, match="do not fit its configuration"):
        load_model(path, device=CPU)


def test_a_model_of_chunks_coded_jointly(tmp_path: Path, tiny_weights: Path) -> None:
    """Weights from before there were pictures between two references: refused when loaded, not in the first chunk."""
    path = tmp_path / "jointly.safetensors"
    with safe_open(tiny_weights, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    config = TINY.to_json().replace('"frames": 1', '"frames": 4')
    save_file(tensors, path, {"config": config})
    with pytest.raises(ModelError, match="model configuration: frames is 4"):
        load_model(path, device=CPU)


def test_nothing_changed_loads(tmp_path: Path, tiny_weights: Path) -> None:
    """The rewriting of the tests above is not itself what fails."""
    path = rewrite(tiny_weights, tmp_path / "same.safetensors", lambda tensors: None)
    assert load_model(path, device=CPU).name == "tiny"


def test_devices() -> None:
    assert resolve_device("cpu") == CPU
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["", "gpu", "cuda:x", "xpu", "meta", "CPU!", "cuda:-2"])
def test_names_that_are_no_devices(name: str) -> None:
    with pytest.raises(UsageError, match="use auto, cpu, cuda, cuda:N or mps"):
        resolve_device(name)


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:63", "mps"])
def test_devices_that_are_not_here(name: str) -> None:
    here = torch.backends.mps.is_available() if name == "mps" else torch.cuda.is_available()
    if name == "cuda:63" or not here:
        with pytest.raises(ModelError, match="use --device cpu or auto"):
            resolve_device(name)
    else:
        assert resolve_device(name).type == name.split(":")[0]
