"""The drain: this process starts no more runs, answers what it has been asked, and ends; scripts go on without it.

It ends as by SIGTERM, which every ASGI server knows. Streams and answers that wait for a script are not waited for:
whoever reads them asks the next server for the rest.
"""

import contextlib
import logging
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

PATIENCE = 5.0  # seconds that a drain waits for those who are being answered
SENTENCE = "This server is about to end, and starts no more runs. Ask again in a moment: the next one will."
Application = Callable[..., Awaitable[None]]
logger = logging.getLogger(__name__)


def end_process() -> None:
    """Do what an operator's SIGTERM does; it goes to the main thread, which no other could wake from its waiting."""
    signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)


class Drain:
    """Who is still being answered, and whether this process is about to end."""

    def __init__(self, *, end: Callable[[], None] = end_process, patience: float = PATIENCE):
        self.end, self.patience = end, patience
        self.has_begun = False
        self.answers = 0
        self.changed = threading.Condition()

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """Let the drain wait, within reason, until this has been done."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def begin(self) -> None:
        with self.changed:
            if self.has_begun:
                return
            self.has_begun = True
        logger.warning("The server drains: it starts no more runs, and ends when it has answered. Scripts go on.")
        # A daemon, for another SIGTERM may end the process before.
        threading.Thread(target=self._end, name="drain", daemon=True).start()

    def _end(self) -> None:
        with self.changed:
            self.changed.wait_for(lambda: not self.answers, timeout=self.patience)
        self.end()

    def _count(self, change: int) -> None:
        with self.changed:
            self.answers += change
            self.changed.notify_all()


process = Drain()


def begin() -> None:
    """Drain this process, and end it; once begun, it goes on."""
    process.begin()


def is_draining() -> bool:
    return process.has_begun


def waited_for(application: Application) -> Application:
    """This ASGI application, whose answers a drain waits for."""

    async def answer(scope: dict[str, Any], receive: Callable, send: Callable) -> None:
        with process.answering():
            await application(scope, receive, send)

    return answer
