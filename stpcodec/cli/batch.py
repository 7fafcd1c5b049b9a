"""Several files with one command: each on its own, failures at the end, and what is done stays done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stpcodec.cli import console
from stpcodec.cli.journal import Job, Journal
from stpcodec.cli.session import Session
from stpcodec.codec.output import OutputClosed, check_source, check_target, output_error
from stpcodec.codec.partial import remove_twin
from stpcodec.errors import StpError, UsageError

_LOOK_SECONDS = 0.2  # how often a waiting batch looks up for signals
_LISTED = 20  # failures that are named again at the end


class SomeFailed(StpError):
    """Some files of a batch failed; all others are done. The exit code is that of the first one."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]


@dataclass(frozen=True)
class Rules:
    """skip_existing: an output that is there is good. dry_run: say what would be done, do nothing."""

    skip_existing: bool = False
    overwrite: bool = False
    dry_run: bool = False


@dataclass
class Batch:
    """Works through jobs in order and keeps count. past: the verb as in "3 encoded"."""

    session: Session
    past: str
    rules: Rules = Rules()
    journal: Journal | None = None
    done: int = 0
    skipped: int = 0
    failures: list[tuple[Job, str, int]] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=lambda: {"bytes_read": 0, "bytes_written": 0, "frames": 0})

    def run(self, jobs: Sequence[Job], work: Callable[[Job], dict[str, Any]], *, at_once: int = 1) -> None:
        """`work` does one job, says what it did, and returns the facts for its JSON object.

        at_once: more than 1 calls it from as many threads; the journal and all counting stay in this one.
        Raises SomeFailed at the end if it raised anything.
        """
        taken: dict[Path, Path] = {}
        try:
            with _workers(at_once) as start:
                running: dict[Future[dict[str, Any]], tuple[Job, int]] = {}
                for number, job in enumerate(jobs, 1):
                    self.session.guard.check()
                    self._collect(running, most=at_once - 1)
                    with self._failing(job):
                        size = self._admit(job, f"[{number}/{len(jobs)}]", taken)
                        if size is not None:
                            running[start(work, job)] = (job, size)
                self._collect(running, most=0)
        except OutputClosed:
            raise
        except BaseException:
            left = len(jobs) - self.done - self.skipped - len(self.failures)
            self.session.report.say(f"{self._totals(len(jobs))}, {left} left; the same command goes on from here")
            self.session.report.summary |= self.sizes
            raise
        self._end(jobs)

    def _collect(self, running: dict[Future[dict[str, Any]], tuple[Job, int]], *, most: int) -> None:
        """Take in what is done, and wait until at most so many are not."""
        while running:
            done = [future for future in running if future.done()]
            if not done and len(running) <= most:
                return
            for future in done:
                job, size = running.pop(future)
                with self._failing(job):
                    self._conclude(job, size, future.result())
            if not done:
                wait(running, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED)
                self.session.guard.check()

    @contextmanager
    def _failing(self, job: Job) -> Iterator[None]:
        """What goes wrong inside is this job's failure, and the others go on."""
        try:
            yield
        except OutputClosed:  # nobody reads what would be said of the others
            raise
        except StpError as error:
            self._fail(job, str(error), error.exit_code)
        except OSError as error:
            self._fail(job, str(output_error(job.target or job.source, error)), 5)
        except Exception as error:
            if self.session.debug:
                raise
            self._fail(job, f"{job.source}: internal error: {type(error).__name__}: {error}", 1)

    def _admit(self, job: Job, place: str, taken: dict[Path, Path]) -> int | None:
        """Bytes of the source if the job is to be done, else None."""
        report = self.session.report
        if job.target is not None and (first := taken.setdefault(job.target, job.source)) != job.source:
            raise UsageError(
                f"{job.source}: would be written to {job.target}, as {first} is; run it alone with another output"
            )
        reason = self._reason_to_skip(job)
        if reason is not None:
            self.skipped += 1
            report.say(f"{place} {job.source}: skipped, {reason}")
            self._emit(job, "skipped", {"reason": reason})
            return None
        if self.rules.dry_run:
            _check(job, self.rules)
            report.say(f"{place} {job.source}: would be {self.past}" + (f" to {job.target}" if job.target else ""))
            self._emit(job, "planned", {})
            return None
        if job.target is not None:
            _make_folder(job.target.parent)
        _check(job, self.rules)
        if self.journal is not None:
            self.journal.begin(job)
        return job.source.stat().st_size if job.source.is_file() else 0

    def _conclude(self, job: Job, size: int, facts: dict[str, Any]) -> None:
        if self.journal is not None:
            self.journal.finish(job)
        self.done += 1
        for name, value in ({"bytes_read": size} | facts).items():
            if name in self.sizes:
                self.sizes[name] += value
        self._emit(job, "done", facts)

    def _reason_to_skip(self, job: Job) -> str | None:
        if self.journal is not None and job.target is not None and self.journal.is_done(job):
            if not self.rules.dry_run:
                remove_twin(job.target)
            return f"{job.target} was made before"
        if self.rules.skip_existing and job.target is not None and job.target.is_file():
            return f"{job.target} exists"
        return None

    def _fail(self, job: Job, message: str, exit_code: int) -> None:
        self.failures.append((job, message, exit_code))
        self.session.report.complain(message)
        self._emit(job, "failed", {"message": message, "exit_code": exit_code})

    def _emit(self, job: Job, status: str, facts: dict[str, Any]) -> None:
        target = {"target": str(job.target)} if job.target else {}
        self.session.report.emit("file", source=str(job.source), **target, status=status, **facts)

    def _totals(self, count: int) -> str:
        parts = [f"{self.done} {self.past}"]
        if self.skipped:
            parts.append(f"{self.skipped} skipped")
        if self.failures:
            parts.append(f"{len(self.failures)} failed")
        total = f"{count} files: {', '.join(parts)}"
        if self.done and self.sizes["bytes_written"]:
            read, written = (console.size_text(self.sizes[name]) for name in ("bytes_read", "bytes_written"))
            total += f"; {read} to {written}, {self.sizes['frames']} frames"
        return total

    def _end(self, jobs: Sequence[Job]) -> None:
        self.session.report.summary |= self.sizes
        self.session.report.say(self._totals(len(jobs)))
        if not self.failures:
            if self.journal is not None and not self.rules.dry_run:
                self.journal.remove()
            return
        for job, message, _ in self.failures[:_LISTED]:
            self.session.report.say(f"failed: {job.source}: {message.removeprefix(f'{job.source}: ')}")
        names = ", ".join(str(job.source) for job, _, _ in self.failures[:_LISTED])
        more = f" and {len(self.failures) - _LISTED} more" if len(self.failures) > _LISTED else ""
        raise SomeFailed(
            f"{len(self.failures)} of {len(jobs)} files failed: {names}{more}", exit_code=self.failures[0][2]
        )


@contextmanager
def _workers(count: int) -> Iterator[Callable[..., Future[Any]]]:
    """A function that starts another: at once in this thread, or in one of `count`."""
    if count > 1:
        pool = ThreadPoolExecutor(count, "stpcodec-file")
        try:
            yield pool.submit
        finally:
            pool.shutdown(cancel_futures=True)
        return

    def call(work: Callable[[Job], Any], job: Job) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(work(job))
        except Exception as error:
            future.set_exception(error)
        return future

    yield call


def _check(job: Job, rules: Rules) -> None:
    """What can be refused before any work; the output's folder may be still to make."""
    if job.target is not None and job.target.parent.is_dir():
        check_target(job.target, source=job.source, overwrite=rules.overwrite)
    else:
        check_source(job.source)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error
