"""The one reader under every transport: what a run has printed after an offset, then live, to the end."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from runbooks.models import Run
from runbooks.output.entries import open_regular
from runbooks.output.watch import watch
from runbooks.threads import in_thread

READ = 256 * 1024
LOOK_AGAIN = 2.0  # seconds after which a reader looks at the row although nobody rang


@dataclass(frozen=True, slots=True)
class Part:
    """Whole log lines from one offset to another; without any, it says that the run's row may have changed."""

    data: bytes
    start: int
    end: int


class Reader:
    """Reads one run's log; `offset` is where it goes on, and may be moved between two parts."""

    def __init__(self, run: Run, *, after: int = 0):
        self.run = run
        self.offset = after
        self._file: int | None = None

    async def follow(self) -> AsyncIterator[Part]:
        """Everything after the offset, in order and without a gap, until the run has ended; `run` is kept fresh.

        At least every LOOK_AGAIN seconds a part comes, if only an empty one.
        """
        bell = watch(self.run.folder)
        try:
            look_at = 0.0
            while True:
                if time.monotonic() >= look_at:
                    await self._refresh()
                    yield Part(b"", self.offset, self.offset)
                    look_at = time.monotonic() + LOOK_AGAIN
                # In this order: what was printed before the run was seen to have ended is in the file by then.
                has_ended = not self.run.is_active
                while part := self.read():
                    yield part
                    await asyncio.sleep(0)  # a flood in one run must not hold up the others
                    if not has_ended and time.monotonic() >= look_at:
                        break
                else:
                    if has_ended:
                        return
                    if await bell.wait(look_at - time.monotonic()):
                        look_at = 0.0
        finally:
            bell.close()
            self.close()

    def read_to(self, end: int) -> Iterator[Part]:
        """What there is already, up to an offset."""
        while self.offset < end and (part := self.read(end - self.offset)):
            yield part

    def read(self, most: int = READ) -> Part | None:
        """The next whole lines, one at least however long it is; None when there are none yet.

        Called in the event loop: a hop to a thread costs more than a page that was written a moment ago.
        """
        size = min(most, READ)
        while data := self._bytes(size, self.offset):
            cut = data.rfind(b"\n") + 1
            if cut:
                start, self.offset = self.offset, self.offset + cut
                return Part(data[:cut], start, self.offset)
            if len(data) < size:
                return None
            size *= 2
        return None

    def end(self) -> int:
        """The offset after the last whole line."""
        end = self.size()
        while end and b"\n" not in (tail := self._bytes(min(end, READ), max(0, end - READ))):
            end -= len(tail)
        return end and end - len(tail) + tail.rfind(b"\n") + 1

    def size(self) -> int:
        self._open()
        return os.fstat(self._file).st_size if self._file is not None else 0

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _bytes(self, size: int, offset: int) -> bytes:
        self._open()
        return os.pread(self._file, size, offset) if self._file is not None else b""

    def _open(self) -> None:
        if self._file is None:
            with contextlib.suppress(OSError):  # the log is gone: there is nothing to be read, nor will there be
                self._file = open_regular(self.run.log)

    async def _refresh(self) -> None:
        with contextlib.suppress(Run.DoesNotExist):
            await in_thread(self.run.refresh_from_db, fields=LIVE_FIELDS)


LIVE_FIELDS = ("state", "started_at", "ended_at", "cancelled_at", "cancelled_by", "return_code", "killed", "warnings")
