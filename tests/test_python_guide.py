"""The examples of docs/python.md run, page by page in one go, as a reader would try them; so does the README's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.codec.clips import pictures, write_video

ROOT = Path(__file__).resolve().parents[1]


def examples(page: str) -> list[tuple[int, str]]:
    """(line in the page, code) of every Python block."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.finditer(r"```python\n(.*?)```", text, re.S)
    return [(text[: match.start(1)].count("\n"), match[1]) for match in found]


@pytest.mark.parametrize(("page", "most"), [("docs/python.md", 20), ("README.md", 1)])
def test_examples_run(page: str, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = pictures(12, height=64, width=96)
    write_video(tmp_path / "in.mp4", frames, codec="libx264", times=[200 * number for number in range(12)])
    monkeypatch.chdir(tmp_path)
    blocks = examples(page)
    assert 1 <= len(blocks) <= most
    names: dict[str, object] = {"__name__": "__example__"}
    for line, code in blocks:
        exec(compile("\n" * line + code, str(ROOT / page), "exec"), names)
