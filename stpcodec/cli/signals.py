"""SIGINT, SIGTERM and SIGHUP as exceptions, so that `with` blocks remove their temporary files."""

from __future__ import annotations

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
    work, raises it again.
    """

    def __init__(self) -> None:
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
        return self

    def renew(self) -> None:
        """Once more what entering did, where a library has put handlers of its own in place of ours."""
        for number in self._previous:
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._received is None:
            self._received = number
            raise SignalReceived(number)

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
        for number, previous in self._previous.items():
            signal.signal(number, previous)  # type: ignore[arg-type]
        if error is None:
            self.check()
