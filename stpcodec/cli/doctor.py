"""`stpcodec doctor`: is this installation sound?"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from stpcodec import __version__
from stpcodec.cli import console
from stpcodec.cli.session import Device, Json, LogFile, Quiet, Session, Verbose, help_text
from stpcodec.errors import StpError, VerificationFailed

EXAMPLES = """Examples:

stpcodec doctor

stpcodec doctor --no-self-test --json"""

_LITTLE_SPACE = 1e9


def doctor(
    context: typer.Context,
    self_test: Annotated[
        bool, typer.Option("--self-test/--no-self-test", help="Encode and decode a small pattern with every model.")
    ] = True,
    device: Device = "auto",
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
    log_file: LogFile = None,
) -> None:
    """Look at versions, devices, models, codecs and disk, and try encoding and decoding.

    Exits with 4 if anything is wrong; each line that begins with "problem" says what to do.
    """
    from stpcodec.cli import installation

    session: Session = context.obj
    report = session.report
    problems = 0

    def note(name: str, ok: bool, detail: str) -> None:
        nonlocal problems
        problems += not ok
        report.result(f"{'ok' if ok else 'problem':<8} {name:<10} {console.one_line(detail)}", always=not ok)
        report.emit("check", name=name, ok=ok, detail=detail)

    found = installation.versions()
    missing = [name for name, number in found.items() if number == "missing"]
    detail = ", ".join(f"{name} {number}" for name, number in found.items())
    note("versions", not missing, f"stpcodec {__version__}, {detail}" + (_install(missing) if missing else ""))
    note("devices", True, ", ".join(installation.device_names()))
    broken = installation.damaged_models()
    names = f"{', '.join(map(str, broken))}: damaged; install the package again, or copy the model again"
    note("models", not broken, names if broken else ", ".join(installation.model_names()))
    lacking = installation.missing_codecs()
    note(
        "codecs",
        "libx264" not in lacking and "h264" not in lacking,
        f"FFmpeg lacks {', '.join(lacking)}; install the av package from its wheel" if lacking else "all there",
    )
    for name, folder in (("disk", Path.cwd()), ("temporary", Path(tempfile.gettempdir()))):
        free = shutil.disk_usage(folder).free
        hint = "" if free > _LITTLE_SPACE else "; free some, or work elsewhere"
        note(name, free > _LITTLE_SPACE, f"{folder}: {console.size_text(free)} free{hint}")
    if self_test:
        from stpcodec.codec.selftest import self_test as try_model
        from stpcodec.model.zoo import list_models

        for model in list_models():
            session.guard.check()
            _try(lambda model=model: try_model(model, device=device), model, note)  # type: ignore[misc]
    if problems:
        raise VerificationFailed(f"{problems} of the checks found a problem; their lines say what to do")


def _try(attempt: Callable[[], float], model: str, note: Callable[[str, bool, str], None]) -> None:
    try:
        note("self-test", True, f"model {model}: {attempt():.1f} dB")
    except StpError as error:
        note("self-test", False, f"model {model}: {error}")
    except Exception as error:  # whatever is broken here is what was asked for
        note("self-test", False, f"model {model}: {type(error).__name__}: {error}; install the package again")


def _install(missing: list[str]) -> str:
    return f"; install what is missing: pip install {' '.join(missing)}"


doctor.__doc__ = help_text(doctor.__doc__, EXAMPLES)
