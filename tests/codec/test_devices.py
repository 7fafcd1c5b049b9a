from __future__ import annotations

import pytest
import torch

from stpcodec.codec.devices import first_device, listed, resolve_devices
from stpcodec.errors import ModelError, UsageError


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the GPUs of a machine that has some, to be changed."""
    names = ["NVIDIA H200", "NVIDIA H200"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(names))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: names[torch.device(device).index or 0])
    return names


def test_a_list() -> None:
    assert listed("cuda:0, cuda:1") == ("cuda:0", "cuda:1")
    assert first_device("cuda:1,cuda:0") == "cuda:1"
    assert resolve_devices("cpu,cpu") == (torch.device("cpu"), torch.device("cpu"))
    assert len(resolve_devices("auto")) == 1


def test_gpus(gpus: list[str]) -> None:
    assert resolve_devices("cuda:0,cuda:1") == (torch.device("cuda:0"), torch.device("cuda:1"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "an entry has no name"),
        ("cuda:0,", "an entry has no name"),
        ("auto,cuda:0", "auto is one device"),
        ("gpu0,gpu1", "--device gpu0: not a device"),
        ("cpu,cuda:0", "name devices of one kind"),
    ],
)
def test_no_list(text: str, said: str, gpus: list[str]) -> None:
    with pytest.raises(UsageError, match=said):
        resolve_devices(text)


def test_gpus_of_two_kinds(gpus: list[str]) -> None:
    gpus[1] = "NVIDIA A100"
    with pytest.raises(UsageError, match="NVIDIA A100, NVIDIA H200"):
        resolve_devices("cuda:0,cuda:1")


def test_a_gpu_that_is_not_there(gpus: list[str]) -> None:
    with pytest.raises(ModelError, match="cuda:2: there is no such CUDA device"):
        resolve_devices("cuda:0,cuda:2")
