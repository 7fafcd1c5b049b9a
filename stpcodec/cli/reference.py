"""The command reference, docs/commands.md, from what the verbs say of themselves.

    python -m stpcodec.cli.reference > docs/commands.md
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from typer.models import ArgumentInfo, OptionInfo

from stpcodec.cli.session import Json, LogFile, Quiet, Verbose
from stpcodec.cli.verbs import PANELS, load

EVERYWHERE = (Quiet, Verbose, Json, LogFile)
"""Options that all verbs have: said once."""
_INTRODUCTION = """# Commands

Written by `python -m stpcodec.cli.reference > docs/commands.md` from the same words as `stpcodec COMMAND --help`; a
test sees that the two agree. Defaults may be set in a file or the environment, see the [README](../README.md#commands);
what `--json` writes stands in [json.md](json.md).
"""
_EPILOGUE = """
## Exit codes

| code | meaning |
|---|---|
| 0 | done |
| 1 | internal error |
| 2 | wrong usage: an option, an output that exists, an output that is the input |
| 3 | the input is unreadable or corrupt |
| 4 | verification failed |
| 5 | the target is unreachable, the output cannot be written |
| 6 | a model is missing, or is not the one of the file |
| 128 + N | ended by signal N |
"""


@dataclass(frozen=True)
class Parameter:
    """One argument or option. names: as on the command line, empty for an argument; value: what follows them."""

    names: tuple[str, ...]
    value: str
    default: str
    help: str

    def row(self) -> str:
        names = ", ".join(f"`{name}{' ' + self.value if self.value else ''}`" for name in self.names)
        default = f" Default: `{self.default}`." if self.default else ""
        return f"| {_cell(names or f'`{self.value}`')} | {_cell(self.help + default)} |"


def reference() -> str:
    """The page as Markdown."""
    parts = [_INTRODUCTION]
    for panel, verbs in PANELS.items():
        links = ", ".join(f"[{verb}](#stpcodec-{verb})" for verb in verbs)
        parts.append(f"\n{panel}: {links}\n")
    parts.append("\n## Options of every command\n")
    parts.append(_table(_described(hint, None) for hint in EVERYWHERE))
    parts += [_section(load(verb)) for verbs in PANELS.values() for verb in verbs]
    return "".join(parts) + _EPILOGUE


def examples(verb: Callable[..., None]) -> list[str]:
    """The command lines in a verb's help."""
    return [text for text in _paragraphs(verb) if _is_command(text)]


def _section(verb: Callable[..., None]) -> str:
    before, _, after = "\n\n".join(_paragraphs(verb)).partition("Examples:")
    rest = [text for text in after.split("\n\n") if text and not _is_command(text)]
    block = "\n".join(examples(verb))
    parameters = list(_parameters(verb))
    usage = [f"stpcodec {_name(verb)}", *(p.value for p in parameters if not p.names), "[OPTIONS]"]
    return (
        f"\n## stpcodec {_name(verb)}\n\n`{' '.join(usage)}`\n\n{before.strip()}\n\n```\n{block}\n```\n"
        + "".join(f"\n{text}\n" for text in rest)
        + _table(iter(parameters))
    )


def _table(parameters: Iterator[Parameter]) -> str:
    return "\n| option | |\n|---|---|\n" + "".join(f"{parameter.row()}\n" for parameter in parameters)


def _parameters(verb: Callable[..., None]) -> Iterator[Parameter]:
    """All but those of `EVERYWHERE`, in the order of the help."""
    hints = typing.get_type_hints(verb, include_extras=True)
    for name, parameter in inspect.signature(verb).parameters.items():
        if typing.get_origin(hints[name]) is typing.Annotated and hints[name] not in EVERYWHERE:
            yield _described(hints[name], None if parameter.default is inspect.Parameter.empty else parameter.default)


def _described(hint: Any, default: object) -> Parameter:
    """hint: Annotated[type, typer.Option(...)] or with typer.Argument."""
    kind, info = typing.get_args(hint)[:2]
    assert isinstance(info, OptionInfo | ArgumentInfo)
    flag = kind is bool
    shown = "" if default in (None, False) or flag or not info.show_default else _text(default)
    names: tuple[str, ...] = ()
    if isinstance(info, OptionInfo):  # in Annotated, the first name stands where otherwise the default would
        names = (str(info.default), *(info.param_decls or ()))
    value = "" if flag else info.metavar or _metavar(kind)
    if flag and default is True:
        shown = names[0].split("/")[0]
    return Parameter(names, value, shown, (info.help or "") + _bounds(info))


def _bounds(info: OptionInfo | ArgumentInfo) -> str:
    low, high = info.min, info.max
    if low is not None and high is not None:
        return f" From {low:g} to {high:g}."
    if low:  # 0 goes without saying
        return f" At least {low:g}."
    return ""


def _metavar(kind: Any) -> str:
    """By the type; of `X | None`, of X."""
    kinds = [part for part in typing.get_args(kind) if part is not type(None)] or [kind]
    if isinstance(kinds[0], type) and issubclass(kinds[0], Enum):
        return "|".join(str(choice.value) for choice in kinds[0])
    return {int: "N", float: "X", Path: "PATH"}.get(kinds[0], "TEXT")


def _text(default: object) -> str:
    return str(default.value) if isinstance(default, Enum) else str(default)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _name(verb: Callable[..., None]) -> str:
    return verb.__name__.replace("_", "-")


def _paragraphs(verb: Callable[..., None]) -> list[str]:
    text = inspect.cleandoc(verb.__doc__ or "")
    return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]


def _is_command(text: str) -> bool:
    return text.startswith("stpcodec ") or " | stpcodec " in text


if __name__ == "__main__":
    print(reference(), end="")
