"""Signals become exceptions once, and are not lost where Python drops them."""

from __future__ import annotations

import os
import signal

import pytest

from stpcodec.cli.signals import SignalGuard, SignalReceived


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_raises_and_handlers_are_restored(name: str) -> None:
    number = getattr(signal, name)
    before = signal.getsignal(number)
    signal.signal(number, signal.default_int_handler)  # under nohup the tests themselves are deaf to SIGHUP

    def work() -> None:
        with SignalGuard():
            os.kill(os.getpid(), number)

    try:
        with pytest.raises(SignalReceived) as caught:
            work()
        assert caught.value.exit_code == 128 + number
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)


def test_no_except_clause_for_errors_catches_it() -> None:
    assert not issubclass(SignalReceived, Exception)


def test_later_signals_wait_for_the_clean_up() -> None:
    cleaned = []

    def work() -> None:
        with SignalGuard():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            finally:
                os.kill(os.getpid(), signal.SIGINT)
                cleaned.append(True)

    with pytest.raises(SignalReceived) as caught:
        work()
    assert caught.value.number == signal.SIGTERM
    assert cleaned == [True]


def swallow_a_signal() -> None:
    """What Python does with an exception raised inside a C callback."""
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except SignalReceived:
        pass


def test_a_signal_swallowed_elsewhere_is_raised_by_the_next_check() -> None:
    guard = SignalGuard()
    guard.__enter__()
    swallow_a_signal()
    with pytest.raises(SignalReceived):
        guard.check()
    guard.__exit__(SignalReceived, guard.received, None)


def test_a_signal_swallowed_to_the_end_is_not_forgotten() -> None:
    guard = SignalGuard()
    guard.__enter__()
    swallow_a_signal()
    with pytest.raises(SignalReceived):
        guard.__exit__(None, None, None)


def test_stays_deaf_under_nohup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with SignalGuard():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
