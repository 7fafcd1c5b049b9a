"""Outputs that appear under their name only when they are complete (DESIGN §1, promise 3).

Everything is written to a temporary file beside the target (same file system, so that the last step is one
atomic rename) and removed again on any exception, also one raised by a signal handler. Standard output
(`-`) and targets that are no regular file (pipes, devices) are written straight through: there is nothing
to rename.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from stpcodec.codec.partial import Partial, claim
from stpcodec.errors import InputError, OutputError, StpError, UsageError

STANDARD_STREAM = "-"

# What a write can fail with for reasons that lie with the target, not with us.
_TARGET_ERRNOS = {
    errno.ENOSPC: "no space left on the device; free some, or write elsewhere",
    errno.EDQUOT: "the disk quota is used up; free some space, or write elsewhere",
    errno.EFBIG: "the file system allows no file this large; write elsewhere",
    errno.EACCES: "no permission to write there; choose another folder, or change its permissions",
    errno.EPERM: "no permission to write there; choose another folder, or change its permissions",
    errno.EROFS: "the file system is read-only; write elsewhere",
    errno.ENOTDIR: "a part of the path is not a folder; check the path",
    errno.ENOENT: "the folder does not exist; create it first",
    errno.ENAMETOOLONG: "the name is too long for the file system; choose a shorter one",
    errno.EIO: "the device reports an input/output error; check it, or write elsewhere",
}


class OutputClosed(OutputError):
    """The reader of an output pipe went away (`| head`): to be ended quietly, as a Unix filter would."""

    exit_code = 141  # 128 + SIGPIPE, what a shell reports for any filter in that place


def output_error(target: str | Path, error: OSError) -> StpError:
    """The one-line error for an `OSError` met while writing `target`."""
    if error.errno == errno.EPIPE:
        return OutputClosed(f"{target}: the reader closed the pipe")
    reason = _TARGET_ERRNOS.get(error.errno or 0, f"{error.strerror or error}; check the target")
    return OutputError(f"{target}: cannot be written: {reason}")


def check_target(target: str | Path, *, source: str | Path | None = None, overwrite: bool = False) -> None:
    """Refuse what can be refused before any work is done. Imports nothing heavy, creates nothing.

    Raises:
        UsageError: the target exists and `overwrite` is false, or it is the source (also through links).
        InputError: the source does not exist or is a directory.
        OutputError: the target is a directory, or its folder is missing.
    """
    if source is not None and str(source) != STANDARD_STREAM:
        check_source(Path(source))
    if str(target) == STANDARD_STREAM:
        return
    if not str(target):
        raise UsageError("the output has no name: give a file name, or - for standard output")
    path = Path(target)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise UsageError(f"{path}: is a symbolic link to nothing; remove it or name another output") from None
        mode = None
    except OSError as error:
        raise output_error(path, error) from error
    if mode is None:
        if not path.parent.exists():
            raise OutputError(f"{path}: the folder {path.parent} does not exist; create it first")
        if not path.parent.is_dir():
            raise OutputError(f"{path}: {path.parent} is not a folder; check the path")
        return
    if stat.S_ISDIR(mode):
        raise OutputError(f"{path}: is a folder; name a file in it")
    if source is not None and os.path.exists(source) and os.path.samefile(source, path):
        raise UsageError(f"{path}: output and input are the same file; name another output")
    if stat.S_ISREG(mode) and not overwrite:
        raise UsageError(f"{path}: exists already; use --overwrite to replace it, or name another output")


def check_source(source: str | Path) -> None:
    """Raise `InputError` if there is no such file, or it is a folder. Patterns and addresses pass."""
    if any(mark in str(source) for mark in ("%", "*", "://")):
        return  # an image sequence or a stream: to be judged by what opens it
    source = Path(source)
    try:
        mode = source.stat().st_mode
    except FileNotFoundError:
        raise InputError(f"{source}: no such file; check the path") from None
    except OSError as error:
        raise InputError(f"{source}: cannot be opened ({error.strerror}); check path and permissions") from error
    if stat.S_ISDIR(mode):
        raise InputError(f"{source}: is a folder; name a file in it")


class CheckedFile:
    """A binary file whose failures carry the name of the target. `bytes_written` counts what went through."""

    def __init__(self, file: BinaryIO, target: str | Path) -> None:
        self._file = file
        self.name = str(target)
        self.bytes_written = 0

    def write(self, data: bytes | bytearray | memoryview) -> int:
        view = memoryview(data).cast("B")
        try:
            while len(view):  # a raw pipe may take less than it was given
                view = view[self._write_some(view) :]
        except OSError as error:
            raise output_error(self.name, error) from error
        size = memoryview(data).nbytes
        self.bytes_written += size
        return size

    def _write_some(self, view: memoryview) -> int:
        return self._file.write(view) or 0

    def flush(self) -> None:
        try:
            self._file.flush()
        except OSError as error:
            raise output_error(self.name, error) from error

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._file.seekable()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    @property
    def closed(self) -> bool:
        return self._file.closed


class OutputFile:
    """`with OutputFile("out.stp") as out:`, then write to `out.path` (by name) or `out.file()`.

    path: the temporary file to write, with the suffix of the target; None for standard output.

    resumable: under a name that a later run finds if this one is killed. resume: what such a run left is `leftover`
    (until `drop_leftover`), and if this one fails its own file stays.
    """

    def __init__(
        self, target: str | Path, *, source: str | Path | None = None, overwrite: bool = False,
        resumable: bool = False, resume: bool = False,
    ) -> None:  # fmt: skip
        check_target(target, source=source, overwrite=overwrite)
        self.name = str(target)
        self._resumable, self._resume = resumable, resume
        self._partial: Partial | None = None
        self._overwrite = overwrite
        self._temporary: list[Path] = []
        self._file: BinaryIO | None = None
        self._final: Path | None = None  # the regular file to appear in the end
        self.path: Path | None = None
        if self.name != STANDARD_STREAM:
            self.path = Path(target)
            if not self.path.exists() or self.path.is_file():
                # Through links: replacing the file a link points to, not the link.
                self._final = Path(os.path.realpath(target))

    @property
    def is_stdout(self) -> bool:
        return self.path is None

    @property
    def is_regular(self) -> bool:
        """False for standard output, pipes and devices, which are written straight through."""
        return self._final is not None

    def __enter__(self) -> OutputFile:
        if self.is_stdout and sys.stdout.isatty():
            raise UsageError("refusing to write video data to a terminal; redirect standard output, or name a file")
        if self._final is not None:
            self._partial = claim(self._final, resume=self._resume) if self._resumable else None
            if self._partial is None:
                self.path = self._create(self._final.parent, self._final.suffix)
            else:
                self.path = self._partial.path
                self._temporary.append(self.path)
        return self

    @property
    def leftover(self) -> Path | None:
        return self._partial.leftover if self._partial else None

    def drop_leftover(self) -> None:
        """The leftover is not needed any more: all of it is in the new file."""
        if self.leftover is not None:
            self.flush()
            self.leftover.unlink(missing_ok=True)

    def scratch(self, suffix: str = "") -> Path:
        """An empty temporary file beside the target, removed when the output is closed, however that ends.

        Where the partial file has a known name, so has the first of each suffix: the run after a killed one takes its.
        """
        import tempfile  # and with it Python's random numbers: a hundredth of a second for every start

        folder = self._final.parent if self._final else Path(tempfile.gettempdir())
        if self._partial is not None:
            path = self._partial.path.with_name(f"{self._partial.path.name}{suffix}")
            if path not in self._temporary and self._create_known(path):
                return path
        return self._create(folder, suffix)

    def _create_known(self, path: Path) -> bool:
        """False where the name cannot be had. No other run uses it: it goes with the partial file, which is locked."""
        try:
            path.unlink(missing_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except OSError:  # too long, or somebody else's
            return False
        self._temporary.append(path)
        return True

    def _create(self, folder: Path, suffix: str) -> Path:
        # Hidden, and with the suffix at the end: FFmpeg's muxers may look at it. Mode bits follow the umask.
        path = folder / f".stpcodec-{os.urandom(8).hex()}.part{suffix[:32]}"
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except OSError as error:
            raise output_error(self.name, error) from error
        self._temporary.append(path)
        return path

    def file(self) -> CheckedFile:
        """The output opened for writing bytes, with errors that name the target."""
        try:
            self._file = sys.stdout.buffer if self.path is None else self.path.open("wb")
        except OSError as error:
            raise output_error(self.name, error) from error
        return CheckedFile(self._file, self.name)

    def require_space(self, size_bytes: int, what: str) -> None:
        """Raise `OutputError` now rather than after hours, if `size_bytes` can certainly not be written."""
        if self._final is None:
            return
        free = shutil.disk_usage(self._final.parent).free
        if size_bytes > free:
            raise OutputError(
                f"{self.name}: {what} needs {size_bytes / 1e6:.0f} MB, {self._final.parent} has "
                f"{free / 1e6:.0f} MB free; free some space, or write elsewhere"
            )

    def free_bytes(self) -> int | None:
        """Free space where the target lies; None if it is no regular file."""
        return shutil.disk_usage(self._final.parent).free if self._final else None

    def flush(self) -> None:
        """Push what `file()` was given to the operating system, so that it can be read under `path`."""
        if self._file is not None:
            try:
                self._file.flush()
            except OSError as error:
                raise output_error(self.name, error) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._commit()
            elif isinstance(error, OSError) and error.errno in (
                errno.ENOSPC,
                errno.EDQUOT,
                errno.EFBIG,
                errno.EPIPE,
            ):
                # From a writer that opened `path` itself; only writing fails with these.
                raise output_error(self.name, error) from error
        finally:
            self._close_quietly()
            kept = self._partial.path if self._partial and self._resume and error is not None else None
            for path in self._temporary:
                if path != kept:
                    path.unlink(missing_ok=True)
            self._temporary.clear()
            if self._partial is not None:
                self._partial.release()

    def _commit(self) -> None:
        try:
            self.flush()
            if self.path is None or self._final is None:
                return
            if self._file is not None:
                self._file.close()
            _sync(self.path)
            self._publish(self.path, self._final)
        except OSError as error:
            raise output_error(self.name, error) from error

    def _publish(self, temporary: Path, final: Path) -> None:
        if self._overwrite:
            if final.exists():
                shutil.copymode(final, temporary)
            os.replace(temporary, final)
        else:
            # A file of that name may have appeared since the check: link() refuses then, rename() would not.
            try:
                os.link(temporary, final)
            except FileExistsError:
                raise UsageError(f"{final}: was created by someone else meanwhile; nothing was overwritten") from None
            except OSError:  # no hard links here (FAT, some network file systems)
                check_target(final)
                os.replace(temporary, final)
        _sync(final.parent)

    def _close_quietly(self) -> None:
        if self._file is not None and self._file is not sys.stdout.buffer:
            try:
                self._file.close()
            except OSError:
                pass  # on success `_commit` has closed it; on failure the first error is the one to report


def _sync(path: Path) -> None:
    """fsync a file or folder: after a power cut the name must not point to a hole."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):  # folders on some file systems
            raise
    finally:
        os.close(descriptor)
