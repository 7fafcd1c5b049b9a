"""Signals become exceptions once, and are not lost where Python drops them."""

from __future__ import annotations

import os
import signal
import threading

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


def test_a_signal_that_interrupts_no_call_is_repeated() -> None:
    """Another thread takes it, as if it had come just before the call that blocks: nothing ends that call but it."""
    read_end, write_end = os.pipe()
    waited = threading.Event()

    def give_up() -> None:
        waited.set()
        os.write(write_end, b"never")

    escape = threading.Timer(30, give_up)
    helper = threading.Timer(0.2, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM))

    def work() -> None:
        with SignalGuard():
            escape.start()
            helper.start()
            os.read(read_end, 5)

    try:
        with pytest.raises(SignalReceived) as caught:
            work()
    finally:
        escape.cancel()
        for timer in (escape, helper):
            timer.join()
        os.close(read_end)
        os.close(write_end)
    assert caught.value.number == signal.SIGTERM
    assert not waited.is_set()


def test_leaves_no_thread_and_no_wakeup_behind() -> None:
    threads, before = threading.active_count(), signal.set_wakeup_fd(-1)
    try:
        with SignalGuard():
            assert threading.active_count() == threads + 1
        assert threading.active_count() == threads
    finally:
        assert signal.set_wakeup_fd(before) == -1


def test_stays_deaf_under_nohup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with SignalGuard():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
