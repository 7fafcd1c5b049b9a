"""Entry point: runs a verb and turns whatever it raises into one line and an exit code.

| code | meaning |
|---|---|
| 0 | done |
| 1 | internal error |
| 2 | wrong usage (options, output exists, output is the input) |
| 3 | input unreadable or corrupt |
| 4 | verification failed |
| 5 | target unreachable, output not writable |
| 6 | model missing or not the one of the file |
| 129, 130, 143 | ended by SIGHUP, SIGINT, SIGTERM |
| 141 | the reader of the output pipe went away |
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated

import typer

from stpcodec import __version__
from stpcodec.cli import console
from stpcodec.cli.session import Session
from stpcodec.cli.settings import default_map
from stpcodec.cli.signals import SignalReceived
from stpcodec.cli.verbs import Verbs
from stpcodec.codec.allocator import keep_freed_memory
from stpcodec.codec.output import OutputClosed, output_error
from stpcodec.errors import OutputError, StpError

app = typer.Typer(
    name="stpcodec",
    cls=Verbs,
    help="A learned video codec: any video in, a small .stp file, the same video out.",
    epilog="Exit codes: 0 ok, 1 internal error, 2 usage, 3 unreadable or corrupt input, 4 verification "
    "failed, 5 target unreachable or not writable, 6 model missing or mismatched, 128+N ended by signal N.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(value: bool) -> None:
    if value:
        print(f"stpcodec {__version__}", flush=True)  # at once: the rest has to load torch
        from stpcodec.cli.installation import device_names, model_names

        print(f"models: {', '.join(model_names())}")
        print(f"devices: {', '.join(device_names())}")
        raise typer.Exit()


@app.callback()
def _global_options(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print version, models, devices; exit."),
    ] = False,
) -> None:
    session: Session = context.obj
    session.report.verb = context.invoked_subcommand or ""
    context.default_map = default_map(context)


def main() -> int:
    """The console script: runs the program on the command line's arguments; returns its exit code."""
    keep_freed_memory()
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError as error:
        # Python would try once more at exit and replace the exit code by its own 120.
        _silence_stdout()
        if code == 0:
            console.error(f"standard output: {error.strerror or error}; what was written there is not complete")
            code = OutputError.exit_code
    if code >= 128:
        # A thread may still hang in a read of standard input, and Python would wait for its lock to no end.
        sys.stderr.flush()
        os._exit(code)
    return code


def run(args: list[str]) -> int:
    """Run the program with `args`; returns its exit code. Never raises."""
    session, code = Session(), 0
    try:
        with session.guard:
            app(args, prog_name="stpcodec", obj=session)
    except BaseException as error:  # the one place where everything ends
        # Whatever else went wrong while a signal was being obeyed is not news.
        code = _exit_code(session.guard.received or error, session)
    try:
        session.report.finish(code)
    except (OSError, OutputClosed) as error:
        session.report.as_json = False
        failed = output_error("standard output", error) if isinstance(error, OSError) else error
        return code or _exit_code(failed, session)
    return code


def _exit_code(error: BaseException, session: Session) -> int:
    match error:
        case SystemExit():  # typer has printed its usage error
            return error.code if isinstance(error.code, int) else int(error.code is not None)
        case SignalReceived():
            session.report.say(f"stpcodec: ended by {error}")
            return error.exit_code
        case KeyboardInterrupt():
            return 130
        case OutputClosed() | BrokenPipeError():
            session.report.as_json = False
            _silence_stdout()
            return OutputClosed.exit_code
    if session.debug or (session.verbose and not isinstance(error, StpError)):
        console.say("".join(traceback.format_exception(error)).rstrip())
    if isinstance(error, StpError):
        session.report.error(str(error), error.exit_code)
        return error.exit_code
    hint = "run again with -v or STPCODEC_DEBUG=1 for the traceback, and report it"
    session.report.error(f"internal error: {type(error).__name__}: {error}; {hint}", 1)
    return 1


def _silence_stdout() -> None:
    """Python flushes standard output once more at exit, and would complain about the closed pipe again."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        pass


if __name__ == "__main__":
    sys.exit(main())
