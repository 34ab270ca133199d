"""A log's lines for downloads: each as it is seen, told once it has ended, or as the file has it."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from runbooks.output.entries import Entry, parse
from runbooks.output.html import visible
from runbooks.output.index import place_before
from runbooks.output.logfile import LogFile, Part

LONGEST = 1024 * 1024  # bytes; of a longer line, so many are told at a time
READ = 64 * 1024


@dataclass(frozen=True, slots=True)
class WholeLine:
    """A line, or of a very long one a piece; the rest of it has the same number."""

    number: int
    time: str
    stream: str
    text: str
    has_ended: bool


@dataclass(slots=True)
class Begun:
    """A line that has begun, and what has come of it since it was last told."""

    number: int
    time: str
    stream: str
    pieces: list[bytes] = field(default_factory=list)
    size: int = 0

    def add(self, content: bytes) -> None:
        self.pieces.append(content)
        self.size += len(content)

    def told(self, *, has_ended: bool) -> WholeLine:
        """What there is to be told of it, which is then no longer held."""
        text = visible(b"".join(self.pieces).decode("utf-8", "replace"))
        self.pieces, self.size = [], 0
        return WholeLine(self.number, self.time, self.stream, text, has_ended)


class WholeLines:
    """The lines of a log from one number to another, as far as it has come."""

    def __init__(self, path: Path, *, first: int, last: int | None):
        self.path, self.first, self.last = path, first, last
        place = place_before(path, first)
        with closing(LogFile(path)) as log:
            self.end = log.end()
        self.offset, self.count = place.offset, place.lines.count
        self.open = {line.stream: Begun(line.number, "", line.stream) for line in place.lines.open.values()}

    def told(self) -> Iterator[list[WholeLine]]:
        """Part after part of the log, the lines that end in it; at last, those that have not."""
        for part in self._parts():
            yield [line for entry in parse(part.data) for line in self._told(entry)]
        yield [line.told(has_ended=False) for line in self.open.values() if self._is_wanted(line)]

    def raw(self) -> Iterator[bytes]:
        """Part after part of the log, what its file has of these lines."""
        for part in self._parts():
            wanted, start = [], 0
            for entry in parse(part.data):
                if self._is_wanted(self._line_of(entry)):
                    wanted.append(part.data[start : entry.end])
                start = entry.end
            yield b"".join(wanted)

    def _parts(self) -> Iterator[Part]:
        with closing(LogFile(self.path)) as log:
            while self.offset < self.end and not self._is_over():
                if not (part := log.read(self.offset, most=min(READ, self.end - self.offset))):
                    return
                yield part
                self.offset = part.end

    def _is_over(self) -> bool:
        return self.last is not None and self.count > self.last and not any(map(self._is_wanted, self.open.values()))

    def _is_wanted(self, line: Begun) -> bool:
        return self.first <= line.number and (self.last is None or line.number <= self.last)

    def _line_of(self, entry: Entry) -> Begun:
        """The line that this entry is of."""
        line = self.open.pop(entry.stream, None)
        if line is None:
            self.count += 1
            line = Begun(self.count, entry.time, entry.stream)
        if entry.is_part:
            self.open[entry.stream] = line
        return line

    def _told(self, entry: Entry) -> Iterator[WholeLine]:
        line = self._line_of(entry)
        if not self._is_wanted(line):
            return
        line.add(entry.content)
        if not entry.is_part or line.size > LONGEST:
            yield line.told(has_ended=not entry.is_part)
