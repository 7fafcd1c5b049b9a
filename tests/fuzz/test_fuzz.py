"""A short campaign in the test suite; `make fuzz MINUTES=n` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stpcodec.errors import StpError
from tests.fuzz.campaign import run
from tests.fuzz.mutations import EVERY, mutate
from tests.fuzz.originals import MODELS, Original, originals
from tests.fuzz.targets import TARGETS, Claim, Lie
from tests.golden import dct_v1

DCT_FILES = len(dct_v1.GOLDEN)


@pytest.fixture(scope="module")
def files() -> list[Original]:
    return originals()


@pytest.mark.parametrize("model", MODELS)
def test_no_crash_no_hang_no_silent_change(files: list[Original], model: str, tmp_path: Path) -> None:
    """Every kind of damage, by turns to every file."""
    torch.set_num_threads(1)
    chosen = files[:DCT_FILES] if model == "dct" else files[DCT_FILES:]
    result = run(chosen, tmp_path, seed=1, count=10 * len(EVERY), seconds=6)
    assert not result.findings, "\n".join(result.findings)
    assert all(tally.runs == result.mutations for tally in result.targets.values())


def test_mutations_are_the_same_everywhere(files: list[Original]) -> None:
    for number in range(len(EVERY)):
        assert mutate(files[0].data, seed=3, number=number) == mutate(files[0].data, seed=3, number=number)
    assert len({mutate(files[0].data, seed=3, number=16 * n)[1] for n in range(20)}) > 15


@pytest.mark.parametrize("name", ["container reader", "whole decode", "decode --conceal", "repair"])
def test_the_targets_see_lies(files: list[Original], tmp_path: Path, name: str) -> None:
    """A harness that finds nothing must be able to find something: an intact file, said to be of other pictures."""
    path = tmp_path / "x.stp"
    path.write_bytes(files[0].data)
    TARGETS[name](path, files[0], Claim.ALL)
    other = Original(
        "other",
        files[0].data,
        tuple(files[3].segments),
        tuple((y ^ 1, u, v) for y, u, v in files[0].pictures),
        files[0].times,
    )
    with pytest.raises(Lie):
        TARGETS[name](path, other, Claim.ALL)


@pytest.mark.parametrize("number", range(4))
def test_every_cut_of_the_beginning(files: list[Original], tmp_path: Path, number: int) -> None:
    """At each of the first 4096 bytes (every 37th here) and at each record: a typed error, or what is before."""
    original, path = files[number], tmp_path / "cut.stp"
    for size in [*range(0, 4096, 37), *(len(original.data) - back for back in (1, 8, 30, 100))]:
        path.write_bytes(original.data[:size])
        for name in ("container reader", "info", "repair"):
            try:
                TARGETS[name](path, original, Claim.ALL)
            except StpError:
                pass
