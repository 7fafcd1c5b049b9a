"""Defaults of one's own for options: `stpcodec.toml` and `STPCODEC_VERB_OPTION`; the command line wins over both.

    [defaults]          # every verb that has the option
    threads = 4
    [encode]            # this verb alone; also STPCODEC_ENCODE_QUALITY=60, which wins over the file
    quality = 60

The file is $STPCODEC_CONFIG (empty: none), else the user's. Never one of the working folder: that may be anybody's, and
options can delete files.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperOption

from stpcodec.cli.verbs import Verbs
from stpcodec.errors import UsageError

ENVIRONMENT = "STPCODEC_CONFIG"
NAME = "stpcodec.toml"
_COMMON = "defaults"
_ON, _OFF = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}


def user_config() -> Path:
    """Where the user's file is looked for; it need not exist."""
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA") or Path.home() / "AppData/Roaming")
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Application Support"
    else:
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / "stpcodec" / NAME


def default_map(context: typer.Context) -> dict[str, dict[str, Any]]:
    """By verb and parameter, for the root context. Raises UsageError naming file, section and key.

    Verbs of which nothing is said are not loaded.
    """
    group = context.command
    assert isinstance(group, Verbs)
    found: dict[str, dict[str, Any]] = {verb: {} for verb in group.commands}
    path, named = _file()
    sections = _read(path, named=named)
    for section, entries in sections.items():
        where = f"{path}: [{section}]"
        if not isinstance(entries, dict):
            raise UsageError(f"{path}: {section} stands outside of a section; write it below [{_COMMON}] or [encode]")
        if section != _COMMON and section not in group.commands:
            raise UsageError(f"{where} is no command{_guess(section, [_COMMON, *group.commands])}")
        chosen = group.commands if section == _COMMON else (section,)
        _take(context, found, {verb: group.full(verb) for verb in chosen}, entries, where)
    for verb in group.commands:
        prefix = f"STPCODEC_{verb.replace('-', '_').upper()}_"
        if not any(name.startswith(prefix) for name in os.environ):
            continue
        command = group.full(verb)
        for name in _options(command):
            value = os.environ.get(prefix + name.replace("-", "_").upper())
            if value is not None:
                _take(context, found, {verb: command}, {name: value}, f"environment, {verb}:")
    return found


def _file() -> tuple[Path | None, bool]:
    named = os.environ.get(ENVIRONMENT)
    if named is not None:
        return (Path(named) if named else None), True
    return user_config(), False


def _read(path: Path | None, *, named: bool) -> dict[str, Any]:
    if path is None or not (named or path.is_file()):
        return {}
    import tomllib  # most starts have no file to read

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        remedy = f"correct ${ENVIRONMENT}, or set it empty"
        raise UsageError(f"{path}: cannot be read: {error.strerror}; {remedy}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: is no TOML file: {error}") from error


def _take(
    context: typer.Context,
    found: dict[str, dict[str, Any]],
    verbs: Mapping[str, TyperCommand],
    entries: Mapping[str, Any],
    where: str,
) -> None:
    known = {name for command in verbs.values() for name in _options(command)}
    for key, value in entries.items():
        if key not in known:
            raise UsageError(f"{where} {key}: no such option{_guess(key, sorted(known))}")
        for verb, command in verbs.items():
            if (option := _options(command).get(key)) is not None and option.name is not None:
                found[verb][option.name] = _checked(context, option, value, f"{where} {key}")


def _options(command: TyperCommand) -> dict[str, TyperOption]:
    """By the long name without its dashes."""
    return {
        name.removeprefix("--"): option
        for option in command.params
        if isinstance(option, TyperOption) and option.name != "help"
        for name in option.opts
        if name.startswith("--")
    }


def _checked(context: typer.Context, option: TyperOption, value: Any, where: str) -> Any:
    if option.is_flag:
        text = str(value).lower()
        if text not in _ON | _OFF:
            raise UsageError(f"{where} = {value!r}: must be true or false")
        return text in _ON
    if option.callback is not None:  # acts for the running verb; this may be another's
        return value
    try:
        option.process_value(context, value)
    except Exception as error:  # whatever the option's type raises
        said = getattr(error, "message", "") or str(error)
        raise UsageError(f"{where} = {value!r}: {said}") from error
    return value


def _guess(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {near[0]}?" if near else ""
