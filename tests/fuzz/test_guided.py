"""The parts of coverage-guided fuzzing that need no Atheris, and a few seconds of it where it is installed."""

from __future__ import annotations

import io
import random
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from stpcodec.container import StpReader
from tests.fuzz import guided
from tests.fuzz.restamp import _block, _payload, _streams, mutate_file
from tests.golden.dct_v1 import GOLDEN

DATA = GOLDEN[0].path.read_bytes()


@pytest.mark.parametrize("way", [_payload, _block, _streams], ids=lambda way: way.__name__)
def test_a_file_with_its_checks_made_right_is_sound(way) -> None:  # type: ignore[no-untyped-def]
    """Of a mutation that changes nothing, for every record: otherwise the fuzzer would never get past a check."""
    for seed in range(20):
        same = way(DATA, random.Random(seed), lambda data, size: data)
        with StpReader(io.BytesIO(same)) as reader:
            assert reader.complete
            assert all(finding.intact for finding in reader.check())
            assert [reader.read_segment(n).frame_count for n in range(3)] == [9, 9, 4]


def test_mutated_streams_are_read_and_differ() -> None:
    """What the entropy decoder gets behind valid checks is what the fuzzer made of it."""
    changed = 0
    for seed in range(40):
        data = mutate_file(DATA, 1 << 20, seed, lambda data, size: data[:-1] + bytes([data[-1] ^ 1]) if data else b"x")
        try:
            with StpReader(io.BytesIO(data)) as reader:
                segments = [reader.read_segment(number) for number in range(len(reader.segments))]
        except Exception:
            continue
        with StpReader(io.BytesIO(DATA)) as reader:
            changed += bool(segments) and segments[-1].chunks != reader.read_segment(2).chunks
    assert changed > 3


@pytest.mark.parametrize("data", [b"", b"x", DATA[:100], DATA[:-20], bytes(500)])
def test_any_bytes_can_be_mutated(data: bytes) -> None:
    for seed in range(30):
        assert len(mutate_file(data, 600, seed, lambda data, size: (data + b"y")[:size])) <= 600


def test_without_atheris_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(guided, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["guided", "info"])
    assert guided.main() == 2
    assert "pip install 'stpcodec[fuzz]'" in capsys.readouterr().out


@pytest.mark.skipif(find_spec("atheris") is None, reason="Atheris is not installed (extra fuzz)")
def test_a_few_seconds_of_it() -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.fuzz.guided", "info", "--minutes", "0.02"]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    row = result.stdout.splitlines()[-1]
    assert row.startswith("| info |")
    assert int(row.split("|")[2]) > 50
