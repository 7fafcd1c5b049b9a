"""Set before any test module is imported: thread limits and the hypothesis profile."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

# Read by OpenMP when torch loads. Small tensors run slower on many threads than on one, and CI machines have
# two cores; a test about thread counts sets its own with torch.set_num_threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.nursery import Nursery

settings.register_profile(
    "stpcodec",
    deadline=None,  # the first example pays for imports and warm-up
    max_examples=25,
    derandomize=True,  # a failure in CI is the same failure at home
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", parent=settings.get_profile("stpcodec"), max_examples=400, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "stpcodec"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip `cuda` tests without a device, but never silently where CI says that there must be one."""
    marked = [item for item in items if item.get_closest_marker("cuda")]
    if not marked:
        return
    import torch

    if torch.cuda.is_available():
        return
    if os.environ.get("STPCODEC_REQUIRE_CUDA") == "1":
        raise pytest.UsageError("STPCODEC_REQUIRE_CUDA=1 but torch sees no CUDA device")
    for item in marked:
        item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported weights file of a very small learned model with random networks (tests/tiny_model.py)."""
    from tests.tiny_model import write_tiny_weights  # loads torch: only for those who ask

    return write_tiny_weights(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    from tests.nursery import Nursery

    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.fixture
def quick_workers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that start at once (tests/nursery.py), where what is tested is not how they start."""
    if not sys.platform.startswith("linux"):  # forking is not safe everywhere
        return
    from stpcodec.codec import crew

    monkeypatch.setattr(crew, "start_process", request.getfixturevalue("nursery").start)
