"""docs/commands.md says what the program says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from stpcodec.cli import reference
from stpcodec.cli.main import app
from stpcodec.cli.verbs import PANELS, load

ROOT = Path(__file__).resolve().parents[2]
VERBS = [load(verb) for verbs in PANELS.values() for verb in verbs]


def test_the_page_is_up_to_date() -> None:
    page = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    assert page == reference.reference(), "run: python -m stpcodec.cli.reference > docs/commands.md"


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.__name__)
def test_every_verb_has_examples_of_itself(verb) -> None:
    name = verb.__name__.replace("_", "-")
    spellings = {f"stpcodec {name} ", f"stpcodec {name.replace('-', ' ')} "}  # see main.Verbs
    assert any(spelling in f"{line} " for line in reference.examples(verb) for spelling in spellings)


def test_every_option_of_every_verb_is_there() -> None:
    page = reference.reference()
    group = typer.main.get_command(app)
    for name in group.commands:  # type: ignore[attr-defined]
        command = group.full(name)  # type: ignore[attr-defined]
        section = page.split(f"\n## stpcodec {name}\n")[1].split("\n## ")[0]
        everywhere = page.split("\n## Options of every command\n")[1].split("\n## ")[0]
        rows = re.findall(r"^\| (.*?) \|", section + everywhere, re.M)
        said = {word for row in rows for word in re.findall(r"(?<![\w-])--?[a-z][\w-]*", row)}
        options = [p for p in command.params if p.opts[0].startswith("-") and p.name != "help"]
        assert {opt for p in options for opt in (*p.opts, *p.secondary_opts)} == said, name
