"""SIGINT, SIGTERM and SIGHUP as exceptions, so that `with` blocks remove their temporary files."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType


class SignalReceived(BaseException):
    """Not an `Exception`: nothing between the signal and `main` may mistake it for an error it can handle."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number

    @property
    def exit_code(self) -> int:
        return 128 + self.number


class SignalGuard:
    """While it is entered, the first signal raises `SignalReceived`; later ones wait for the clean-up to end.

    An exception raised in a handler is lost when the handler happens to run in a C callback or a finaliser
    (Python prints "Exception ignored"). So the signal is also remembered: `check()`, called once per chunk of
    work, raises it again. And where the main thread enters a call that blocks in the moment before its handler would
    have run, only a further signal gets it out: `_Knocker` sends one.
    """

    def __init__(self) -> None:
        self._knocker: _Knocker | None = None
        names = ("SIGINT", "SIGTERM", "SIGHUP")  # no SIGHUP on Windows
        self._signals = [getattr(signal, name) for name in names if hasattr(signal, name)]
        self._previous: dict[int, object] = {}
        self._received: int | None = None

    def __enter__(self) -> SignalGuard:
        if threading.current_thread() is threading.main_thread():
            for number in self._signals:
                current = signal.getsignal(number)
                if current is signal.SIG_IGN and number != signal.SIGINT:
                    continue  # started under nohup: stay deaf
                self._previous[number] = current
                signal.signal(number, self._handle)
            if hasattr(signal, "pthread_kill"):  # not on Windows
                self._knocker = _Knocker(self)
        return self

    def renew(self) -> None:
        """Once more what entering did, where a library has put handlers of its own in place of ours."""
        for number in self._previous:
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._received is None:
            self._received = number
            raise SignalReceived(number)

    def covers(self, number: int) -> bool:
        return number in self._previous

    @property
    def received(self) -> SignalReceived | None:
        """The signal that came, if one did."""
        return None if self._received is None else SignalReceived(self._received)

    def check(self) -> None:
        if self.received is not None:
            raise self.received

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._knocker is not None:
            self._knocker.end()
        for number, previous in self._previous.items():
            signal.signal(number, previous)  # type: ignore[arg-type]
        if error is None:
            self.check()


class _Knocker:
    """A thread that repeats a signal to the main thread until the guard's handler has run.

    Python runs handlers between bytecodes of the main thread. A signal that comes after the last look for one and
    before the system call that blocks (a write to a pipe nobody reads), or that another thread takes, interrupts
    nothing: its handler would wait for as long as that call does. The file descriptor of `signal.set_wakeup_fd` is
    written to by the signal itself, whatever the main thread does.
    """

    _SECONDS_BETWEEN = 0.1

    def __init__(self, guard: SignalGuard) -> None:
        self._guard = guard
        self._main = threading.get_ident()
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._write_end, False)
        self._ended = threading.Event()
        self._before = signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._watch, name="stpcodec-signals", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while numbers := os.read(self._read_end, 64):
            for number in filter(self._guard.covers, numbers):
                while self._guard.received is None and not self._ended.wait(self._SECONDS_BETWEEN):
                    if self._guard.received is None:
                        signal.pthread_kill(self._main, number)

    def end(self) -> None:
        """In the main thread, with the guard's handlers still in place."""
        self._ended.set()
        signal.set_wakeup_fd(self._before)
        os.close(self._write_end)
        self._thread.join()
        os.close(self._read_end)
