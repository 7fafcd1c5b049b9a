"""The one place where errors become a line and an exit code."""

from __future__ import annotations

import inspect
import os
import re
import signal
import subprocess
import sys

import pytest

from stpcodec import __version__, errors
from stpcodec.cli import main
from stpcodec.cli.signals import SignalReceived
from stpcodec.cli.verbs import PANELS, load
from stpcodec.codec.output import OutputClosed

CODES = {
    errors.StpError: 1,
    errors.UsageError: 2,
    errors.InputError: 3,
    errors.CorruptSegment: 3,
    errors.UnsupportedVersion: 3,
    errors.VerificationFailed: 4,
    errors.TargetUnreachable: 5,
    errors.OutputError: 5,
    errors.ModelError: 6,
}


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def app(args: list[str], **extra: object) -> None:
        raise error

    monkeypatch.setattr(main, "app", app)


@pytest.mark.parametrize(("kind", "code"), CODES.items())
def test_every_error_of_ours_is_one_line_and_its_code(
    kind: type[errors.StpError], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(monkeypatch, kind("clip.mp4: what\nand what to do"))
    assert main.run([]) == code
    assert capsys.readouterr().err == "stpcodec: error: clip.mp4: what and what to do\n"


def test_unexpected_errors_are_one_line_with_a_hint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("STPCODEC_DEBUG", raising=False)
    fail_with(monkeypatch, KeyError("surprise"))
    assert main.run([]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("stpcodec: error: internal error: KeyError: 'surprise'")
    assert "STPCODEC_DEBUG=1" in printed
    assert printed.count("\n") == 1


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("STPCODEC_DEBUG", "1")
    fail_with(monkeypatch, KeyError("surprise"))
    assert main.run([]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_have_their_codes(number: int, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, SignalReceived(number))
    assert main.run([]) == code


def test_an_error_caused_by_a_signal_is_the_signal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def app(args: list[str], **extra: object) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except BaseException as error:
            raise ValueError("generator already executing") from error

    monkeypatch.setattr(main, "app", app)
    assert main.run([]) == 143
    assert "ValueError" not in capsys.readouterr().err


@pytest.mark.parametrize("error", [BrokenPipeError(), OutputClosed("-: the reader closed the pipe")])
def test_a_closed_pipe_is_quiet(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(monkeypatch, error)
    monkeypatch.setattr(main, "_silence_stdout", lambda: None)
    assert main.run([]) == 141
    assert capsys.readouterr().err == ""


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--version"]) == 0
    first, models, devices = capsys.readouterr().out.splitlines()
    assert first == f"stpcodec {__version__}"
    assert re.search(r"models: dct, stp-s \([0-9a-f]{8}\)", models)
    assert devices.startswith("devices: cpu (")


VERBS = [verb for verbs in PANELS.values() for verb in verbs]


@pytest.mark.parametrize("verb", VERBS)
def test_the_list_says_of_a_verb_what_its_help_begins_with(verb: str) -> None:
    said = next(verbs[verb] for verbs in PANELS.values() if verb in verbs)
    assert said == " ".join(inspect.cleandoc(load(verb).__doc__ or "").split("\n\n")[0].split())


def test_the_list_loads_no_verb() -> None:
    code = "import sys; from stpcodec.cli import main; main.run(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "finetune" in done.stdout
    loaded = set(done.stderr.split())
    assert "stpcodec.cli.verbs" in loaded
    assert not loaded & {"stpcodec.cli.encode", "stpcodec.cli.finetune", "torch", "numpy"}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_examples(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([verb, "--help"]) == 0
    printed = capsys.readouterr().out
    assert "Examples" in printed
    assert f"stpcodec {verb} " in printed
    for option in ("--json", "--quiet", "--verbose", "--log-file"):
        assert option in printed


@pytest.mark.parametrize(
    "args",
    [
        ["bogus"],
        ["encode"],
        ["encode", "in.mp4"],
        ["encode", "in.mp4", "out.stp", "--quality", "0"],
        ["encode", "in.mp4", "out.stp", "--quality", "101"],
        ["encode", "in.mp4", "out.stp", "--segment-frames", "257"],
        ["decode", "in.stp", "out.mp4", "--start", "-1"],
        ["info", "--bogus"],
    ],
)
def test_wrong_usage_is_2(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(args) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_the_program_starts_as_a_module_and_without_torch() -> None:
    code = (
        "import sys; from stpcodec.cli import main; code = main.run(sys.argv[1:]); "
        "print(code, 'torch' in sys.modules, 'av' in sys.modules)"
    )
    for args in (["--help"], ["encode", "/missing.mp4", "/tmp/never.stp"], ["info", "/missing.stp"]):
        result = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True)
        assert result.stdout.splitlines()[-1].split()[1:] == ["False", "False"], result.stderr


def test_shells_can_complete_verbs() -> None:
    environment = os.environ | {"_STPCODEC_COMPLETE": "complete_bash", "COMP_WORDS": "stpcodec enc", "COMP_CWORD": "1"}
    result = subprocess.run(
        [sys.executable, "-m", "stpcodec.cli.main"], env=environment, capture_output=True, text=True
    )
    assert result.stdout.split() == ["encode"], result.stderr
