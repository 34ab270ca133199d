"""The process that supervisors are forked from: a fork takes a millisecond, the start of an interpreter ten.

It holds nothing of any run: what a supervisor needs to know goes to it over a pipe of its own. It ends with the process
that has started it; supervisors go on.
"""

import contextlib
import errno
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

LONGEST_SILENCE = 10.0  # seconds after which it counts as ended: nobody else could start a run meanwhile


class ForkServer:
    """Starts supervisors; it is started itself with the first of them, and again should it have ended."""

    def __init__(self, *command: str):
        self.command: Sequence[str] = command
        self.turn = threading.Lock()
        self.process: subprocess.Popen | None = None
        self.requests: socket.socket | None = None
        self.is_over = False

    def spawn(self, folder: Path, *, lock: int, specification: bytes, may_begin: Callable[[], bool]) -> int | None:
        """Fork a supervisor of this folder that inherits the lock; its process number. Raises OSError.

        `may_begin` is asked at the last moment; if it says no, nothing has begun, and there is no number.
        """
        for _ in range(2):
            if self.is_over:
                raise OSError(errno.EAGAIN, "this server is about to end", "the supervisor")
            reader, writer = map(os.fdopen, os.pipe(), ("rb", "wb"), (0, 0))
            with writer:
                (folder / "supervisor.err").unlink(missing_ok=True)  # whatever an earlier script has put there
                with reader, (folder / "supervisor.err").open("xb") as complaints:
                    answer = self._ask(folder, lock, reader.fileno(), complaints.fileno())
                if answer > 0 and not may_begin():
                    return None  # who is told nothing does nothing
                with contextlib.suppress(BrokenPipeError):  # it has failed already, and says why in its complaints
                    while answer > 0 and specification:
                        specification = specification[writer.write(specification) :]
            if answer < 0:
                raise OSError(-answer, os.strerror(-answer), "the supervisor")
            if answer:
                return answer
        raise OSError(errno.ECHILD, "the process that starts supervisors has ended twice", "the supervisor")

    def start(self) -> None:
        """Start it now, so that the first run need not wait for it."""
        self.is_over = False
        with self.turn:
            self._start()

    def abandon(self) -> None:
        """Fork nothing more, and let nobody wait for an answer; without the turn, which who waits has."""
        self.is_over = True
        if process := self.process:
            process.kill()

    def stop(self) -> None:
        """End it; the supervisors go on."""
        with self.turn:
            self._forget()

    def _ask(self, folder: Path, *descriptors: int) -> int:
        """Its answer: a process number, that of an error below zero, or 0 if it has ended."""
        with self.turn:
            self._start()
            with contextlib.suppress(ConnectionError, TimeoutError):
                socket.send_fds(self.requests, [os.fsencode(folder)], list(descriptors))
                if answer := self.requests.recv(32):
                    return int(answer)
            # If it had forked before it ended, that supervisor finds nothing to do in what is not written to it.
            self._forget()
            return 0

    def _start(self) -> None:
        if self.process and self.process.poll() is None:
            return
        self._forget()
        self.requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.requests.settimeout(LONGEST_SILENCE)
        with theirs:
            self.process = subprocess.Popen(
                [*self.command, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )

    def _forget(self) -> None:
        if self.process:
            self.requests.close()
            self.process.kill()
            self.process.wait()
            self.process = None
