"""Every error stpcodec raises on purpose, and the exit code the command line gives it.

The library raises, only ``stpcodec.cli`` prints and exits. A message is one line that says what happened,
where (file, value, offset) and what to do about it.
"""

from __future__ import annotations


class StpError(Exception):
    """Base of all errors with a message meant for the user."""

    exit_code = 1


class UsageError(StpError):
    """The call itself cannot be carried out as asked (option values, output exists, output is the input)."""

    exit_code = 2


class InputError(StpError):
    """The input cannot be read: missing, empty, not a video, truncated."""

    exit_code = 3


class CorruptFile(InputError):
    """A .stp file whose bytes contradict their checksums, their lengths or the format's limits."""


class CorruptSegment(CorruptFile):
    """One segment of a .stp file is damaged; the others may be intact."""


class UnsupportedVersion(InputError):
    """A .stp file of a format version, or with a critical record, that this program does not know."""


class VerificationFailed(StpError):
    """The file was read completely but does not decode to what it promises."""

    exit_code = 4


class TargetUnreachable(StpError):
    """The target cannot be reached: a size or quality out of range, or an output that cannot be written."""

    exit_code = 5


class OutputError(TargetUnreachable):
    """The output cannot be written: no permission, no such folder, no space left on the device."""


class ModelError(StpError):
    """A model is missing, is not the one the file was made with, or cannot run on the device asked for."""

    exit_code = 6
