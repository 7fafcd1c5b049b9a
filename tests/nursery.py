"""Worker processes (codec/crew.py) that need not load torch: forked from one that has loaded it.

Each is a process of its own all the same, which can be killed and whose end is noticed. As a program, a worker takes
four seconds of processor time to start, of which the suite would pay for some fifty.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_REQUEST = struct.Struct("<ci")
_FORK, _WAIT = b"F", b"W"


class Nursery:
    """`start` takes the place of crew.start_process."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        # One thread each, so that there are none of OpenMP's to lose by forking.
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.nursery", str(theirs.fileno())],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno()], cwd=ROOT,
                env=environment,
            )  # fmt: skip
        self._lock = threading.Lock()

    def start(self, descriptor: int) -> Child:
        with self._lock:
            socket.send_fds(self._socket, [_REQUEST.pack(_FORK, 0)], [descriptor])
            return Child(self._answer(), self)

    def wait(self, pid: int) -> int:
        with self._lock:
            self._socket.sendall(_REQUEST.pack(_WAIT, pid))
            return self._answer()

    def _answer(self) -> int:
        data = self._socket.recv(4, socket.MSG_WAITALL)
        assert len(data) == 4, "the nursery is gone"
        return int.from_bytes(data, "little", signed=True)

    def close(self) -> None:
        self._socket.close()
        assert self._process.wait() == 0


@dataclass
class Child:
    pid: int
    nursery: Nursery
    code: int | None = None

    def kill(self) -> None:
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Exit code; of a signal its number, negative."""
        if self.code is None:
            self.code = self.nursery.wait(self.pid)
        return self.code


def main(descriptor: int) -> None:
    from stpcodec.codec import worker
    from stpcodec.codec.selftest import self_test

    self_test("dct", device="cpu")  # loads what workers need, kernels too
    if threading.active_count() > 1:
        raise RuntimeError("a thread is left, which a fork would lose")
    parent = socket.socket(fileno=descriptor)
    ended: dict[int, int] = {}  # two threads may ask for the same child
    while True:
        data, descriptors, _, _ = socket.recv_fds(parent, _REQUEST.size, 1)
        if not data:
            return
        kind, pid = _REQUEST.unpack(data)
        if kind == _WAIT:
            if pid not in ended:
                ended[pid] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            answer = ended[pid]
        elif answer := os.fork():
            os.close(descriptors[0])
        else:
            parent.close()
            _work(worker.main, descriptors[0])
        parent.sendall(answer.to_bytes(4, "little", signed=True))


def _work(serve, descriptor: int) -> None:  # type: ignore[no-untyped-def]
    """The rest of a child's life, as crew.start_process arranges it."""
    code = 1
    try:
        os.setsid()
        serve(descriptor)
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    main(int(sys.argv[1]))
