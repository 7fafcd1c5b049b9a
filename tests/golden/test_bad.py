"""Every file that ever broke something (tests/fuzz): it must never do so again.

Named ORIGINAL-SEED-NUMBER-KIND.stp, those of coverage-guided fuzzing ORIGINAL-guided-HASH-TARGET.stp.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stpcodec.errors import StpError
from tests.fuzz.mutations import BLIND
from tests.fuzz.originals import originals
from tests.fuzz.targets import TARGETS, Claim

FILES = sorted((Path(__file__).parent / "bad").glob("*.stp"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_does_no_harm_any_more(path: Path, tmp_path: Path) -> None:
    name, _, _, kind = path.stem.rsplit("-", 3)
    original = next((original for original in originals() if original.name == name), None)
    if original is None:
        pytest.skip(f"{path.name} is of {name}, whose weights the package no longer has")
    copy = Path(shutil.copy(path, tmp_path / "x.stp"))
    claim = Claim.ALL if kind in {mutation.__name__ for mutation in BLIND} else Claim.NOTHING
    for target in TARGETS.values():
        try:
            target(copy, original, claim)
        except StpError:
            pass
