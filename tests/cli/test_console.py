from __future__ import annotations

import pytest

from stpcodec.cli import console
from stpcodec.codec.events import Progress


def test_messages_are_one_line_without_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    console.error("a\nb \x1b[31mred\x07")
    assert capsys.readouterr().err == "stpcodec: error: a b ?[31mred?\n"


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (1_234_567, "1.23 MB"), (5e12, "5000.00 GB")],
)
def test_sizes(size: float, text: str) -> None:
    assert console.size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00:00.000"), (61.5, "0:01:01.500"), (3600 + 59.9994, "1:00:59.999")]
)
def test_times(seconds: float, text: str) -> None:
    assert console.time_text(seconds) == text


def test_status_names_what_is_known() -> None:
    full = Progress("encode", 50, 200, 2_000_000, 10.0)
    assert console.status_text(full) == "50/200 frames  5.0 fps  eta 0:30  2.00 MB of about 8.00 MB"
    stream = Progress("decode", 50, None, 0, 10.0)
    assert console.status_text(stream) == "50 frames  5.0 fps"
