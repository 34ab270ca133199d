"""Where the lines of a log stand, soon after each STEP of it: any line is found without reading what is before it.

An index is made as far as anybody has asked, in memory, once for all who read the log in this process.
"""

import threading
from bisect import bisect_right
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from runbooks.output.entries import is_stdout
from runbooks.output.lines import Lines
from runbooks.output.logfile import LogFile

STEP = 1024 * 1024
MOST = 1024  # places; of a larger log, there are fewer


@dataclass(frozen=True, slots=True)
class Place:
    """How the lines stand at an offset, and whether there is anything of stderr between the place before and this."""

    offset: int
    lines: Lines
    has_stderr: bool


START = Place(0, Lines(), False)


class Index:
    """The places of one log, which may grow, and may vanish."""

    def __init__(self, path: Path):
        self.path = path
        self.lock = threading.Lock()
        self._begin(None)

    def end(self) -> Place:
        """The place after the last whole line."""
        with closing(LogFile(self.path)) as log:
            end = log.end()
            self._go_on(log, end, until=lambda: self.tail.offset >= end)
        return self.tail

    def at(self, offset: int) -> Lines:
        """How the lines stand at an offset, which is one at a line's start."""
        with closing(LogFile(self.path)) as log:
            self._go_on(log, offset, until=lambda: self.tail.offset >= offset)
            places = self.known()
            place = places[bisect_right(places, offset, key=lambda place: place.offset) - 1]
            position, lines = place.offset, place.lines.copy()
            while position < offset and (part := log.read(position, most=min(STEP, offset - position))):
                lines.skip(part.data)
                position = part.end
        return lines

    def before(self, number: int) -> Place:
        """The last place that is known at which the line with this number has not begun."""
        places = self.known()
        return places[max(0, bisect_right(places, number - 1, key=lambda place: place.lines.count) - 1)]

    def known(self) -> list[Place]:
        """All places that have been reached, in order."""
        with self.lock:
            return [*self.places, self.tail] if self.tail is not self.places[-1] else [*self.places]

    def _begin(self, identity: tuple[int, int] | None) -> None:
        self.identity, self.step = identity, STEP
        self.places, self.tail = [START], START

    def _go_on(self, log: LogFile, end: int, *, until: Callable[[], bool]) -> None:
        """Read on until then, in turns with others who may want the same."""
        identity = _identity(self.path)
        with self.lock:
            if identity != self.identity or log.end() < self.tail.offset:
                self._begin(identity)  # it is another file, or none
        is_over = False
        while not is_over:
            with self.lock:
                is_over = until() or not self._read_on(log, end)

    def _read_on(self, log: LogFile, end: int) -> bool:
        part = log.read(self.tail.offset, most=min(STEP, max(1, end - self.tail.offset)))
        if part is None:
            return False
        lines, is_all_stdout = self.tail.lines.copy(), is_stdout(part.data)
        lines.skip(part.data, is_all_stdout=is_all_stdout)
        had_stderr = self.tail is not self.places[-1] and self.tail.has_stderr
        self.tail = Place(part.end, lines, had_stderr or not is_all_stdout)
        if self.tail.offset - self.places[-1].offset >= self.step:
            self.places.append(self.tail)
            self._thin_out()
        return True

    def _thin_out(self) -> None:
        if len(self.places) > MOST:
            pairs = zip(self.places[1::2], self.places[2::2], strict=False)
            self.places = [START, *(Place(b.offset, b.lines, a.has_stderr or b.has_stderr) for a, b in pairs)]
            self.tail = self.places[-1]
            self.step *= 2


@lru_cache(maxsize=100)
def index_of(log: Path) -> Index:
    """The index of this log, which all share."""
    return Index(log)


def place_before(log: Path, number: int) -> Place:
    """Where to begin to read for the line with this number; for the first one no index is made, which takes a while."""
    if number <= 1:
        return START
    index = index_of(log)
    index.end()
    return index.before(number)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
