"""The one reader under every transport: what a run has printed after an offset, then live, to the end."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

from runbooks.models import Run
from runbooks.output.feed import LIVE_FIELDS, Feed, row_of
from runbooks.output.logfile import READ, LogFile, Part
from runbooks.threads import in_thread

__all__ = ("LIVE_FIELDS", "Part", "Reader")


class Reader:
    """Reads one run's log; `offset` is where it goes on, and may be moved between two parts."""

    def __init__(self, run: Run, *, after: int = 0):
        self.run = run
        self.offset = after
        self.log = LogFile(run.log)

    async def follow(self) -> AsyncIterator[Part]:
        """Everything after the offset, in order and without a gap, until the run has ended; `run` is kept fresh.

        At least every LOOK_AGAIN seconds a part comes, if only an empty one. A part may be given to other readers, too.
        """
        with Feed.of(self.run) as feed:
            # Later than the watch, for somebody may have rung in between; the feed's next look is the first after it.
            seen = feed.looks
            self._take_over(await in_thread(row_of, self.run.pk))
            feed.look_anew()
            yield Part(b"", self.offset, self.offset)
            while True:
                # In this order: who rings from now on is heard, and what was printed before the run was seen to have
                # ended is in the file by then.
                rung, has_ended = feed.rung, not self.run.is_active
                while part := feed.read(self.offset):
                    self.offset = part.end
                    yield part
                    await asyncio.sleep(0)  # a flood in one run must not hold up the others
                    if not has_ended and feed.seen > seen:
                        break
                else:
                    if has_ended:
                        return
                    if feed.seen <= seen:
                        await rung.wait()
                if feed.seen > seen:
                    seen = feed.seen
                    self._take_over(feed.row)
                    yield Part(b"", self.offset, self.offset, feed.news.made)

    def read_to(self, end: int) -> Iterator[Part]:
        """What there is already, up to an offset."""
        while self.offset < end and (part := self.read(end - self.offset)):
            yield part

    def read(self, most: int = READ) -> Part | None:
        """The next whole lines, one at least however long it is; None when there are none yet."""
        if part := self.log.read(self.offset, most=min(most, READ)):
            self.offset = part.end
        return part

    def end(self) -> int:
        """The offset after the last whole line."""
        return self.log.end()

    def close(self) -> None:
        self.log.close()

    def _take_over(self, row: dict[str, Any]) -> None:
        for name, value in row.items():
            setattr(self.run, name, value)
