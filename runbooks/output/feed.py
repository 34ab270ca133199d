"""One run as all its readers in this event loop see it: its folder is watched, its log read and its row fetched once.

A feed keeps the newest parts of the log, with what was made of them. Who has fallen behind reads from the file on its
way back to the others: nothing is ever kept for it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from runbooks.models import Run
from runbooks.output.logfile import LogFile, Part
from runbooks.output.watch import watch
from runbooks.threads import in_thread

LOOK_AGAIN = 2.0  # seconds after which the row and the log are looked at although nobody rang
READ = 64 * 1024  # bytes: each reader that is not taking what it is sent holds on to that much and what was made of it
KEPT = 4  # parts
LIVE_FIELDS = ("state", "started_at", "ended_at", "cancelled_at", "cancelled_by", "return_code", "killed", "warnings")
logger = logging.getLogger(__name__)


class Feed:
    """What is the same for all readers of a run, while it has any."""

    loops: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Path, "Feed"]] = WeakKeyDictionary()

    def __init__(self, run: Run):
        self.pk = run.pk
        self.readers = 0
        self.log = LogFile(run.log)
        self.parts: dict[int, Part] = {}
        self.dry: int | None = None  # where nothing had been written yet when it was last looked at
        self.rung = asyncio.Event()  # another one each time
        self.looks = 0
        self.news = Part(b"", 0, 0)  # what is made of it is made once for each look at the row
        self.row: dict[str, Any] = {}
        self.seen = 0  # the number of the look that brought the row
        self.wants_look = asyncio.Event()
        self.bell = watch(run.folder, heard=self._ring)
        self.tasks = (asyncio.create_task(self._hear()), asyncio.create_task(self._look_now_and_then()))

    @classmethod
    @contextlib.contextmanager
    def of(cls, run: Run) -> Iterator["Feed"]:
        """The feed of this run, for one reader more."""
        feeds = cls.loops.setdefault(asyncio.get_running_loop(), {})
        feed = feeds.get(run.folder) or feeds.setdefault(run.folder, cls(run))
        feed.readers += 1
        try:
            yield feed
        finally:
            feed.readers -= 1
            if not feed.readers:
                del feeds[run.folder]
                feed.close()

    def read(self, offset: int) -> Part | None:
        """The next whole lines after an offset; None when there are none yet, and until `rung` is set."""
        if offset == self.dry:
            return None
        if offset not in self.parts:
            if not (part := self.log.read(offset, most=_size_at(offset))):
                self.dry = offset
                return None
            self.parts[offset] = part
            if len(self.parts) > KEPT:
                del self.parts[next(iter(self.parts))]
        return self.parts[offset]

    def look_anew(self) -> None:
        """Read on from the file, also where nothing had been written yet."""
        self.dry = None

    def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        self.bell.close()
        self.log.close()

    async def _hear(self) -> None:
        while True:
            await self.bell.wait(LOOK_AGAIN)
            self.wants_look.set()

    async def _look_now_and_then(self) -> None:
        """Apart from what is heard: the log goes on while the database is slow."""
        while True:
            await self.wants_look.wait()
            self.wants_look.clear()
            self.looks += 1
            number = self.looks
            try:
                self.row = await in_thread(row_of, self.pk)
            except Exception:
                logger.exception("Trouble while looking at a run", extra={"run_id": self.pk})
            self.seen, self.news = number, Part(b"", 0, 0)
            self._ring()

    def _ring(self) -> None:
        self.look_anew()
        self.rung.set()
        self.rung = asyncio.Event()


def _size_at(offset: int) -> int:
    """How much is read at an offset: to the same places for all, wherever they began, so that they meet there."""
    return ((offset + READ // 2) // READ + 1) * READ - offset


def row_of(pk: int) -> dict[str, Any]:
    """What of a run's row changes while it goes on; nothing if it is gone."""
    return Run.objects.filter(pk=pk).values(*LIVE_FIELDS).first() or {}
