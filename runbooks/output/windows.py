"""Some lines of a log, anywhere in it, as HTML: as many as a page can take at once, in bounded time."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from runbooks.output.entries import of_stderr
from runbooks.output.index import Place, index_of
from runbooks.output.lines import Lines
from runbooks.output.logfile import LogFile, Part

MOST = 500  # lines
LARGEST = 1024 * 1024  # characters of HTML
READ = 64 * 1024
LOOKED_AT = 64 * 1024 * 1024  # bytes that are looked at for lines of stderr
Rows = dict[int, str]


@dataclass(frozen=True, slots=True)
class Window:
    """The rows of all lines from the first to the last, or those that were asked for among them.

    The log has `count` lines so far, and goes on at the offset `end`.
    """

    rows: Rows
    first: int
    last: int
    count: int
    end: int


class Windows:
    """A log as it is now, and any lines of it."""

    def __init__(self, path: Path):
        self.path = path
        self.index = index_of(path)
        self.tail = self.index.end()
        self.count = self.tail.lines.count

    def at_end(self, *, only_stderr: bool = False) -> Window:
        return self.before(self.count + 1, only_stderr=only_stderr)

    def before(self, number: int, *, only_stderr: bool = False, most: int = MOST) -> Window:
        """The last lines before this one."""
        last = max(0, min(number - 1, self.count))
        if only_stderr:
            return self._stderr_before(last, most=most)
        return self._window(max(1, last - most + 1), last, nearest=last)

    def beginning_with(self, number: int, *, only_stderr: bool = False, most: int = MOST) -> Window:
        """This line and the next ones."""
        first = max(1, min(number, self.count + 1))
        if only_stderr:
            return self._stderr_after(first, most=most)
        return self._window(first, min(self.count, first + most - 1), nearest=first)

    def around(self, number: int, *, only_stderr: bool = False) -> Window:
        """This line in the midst of others."""
        number = max(1, min(number, self.count))
        if only_stderr:
            earlier = self.before(number, only_stderr=True, most=MOST // 2)
            later = self.beginning_with(number, only_stderr=True, most=MOST // 2)
            return replace(later, rows=earlier.rows | later.rows, first=earlier.first)
        first = max(1, min(number - MOST // 2, self.count - MOST + 1))
        return self._window(first, min(self.count, first + MOST - 1), nearest=number)

    def _window(self, first: int, last: int, *, nearest: int) -> Window:
        rows = _fitting(self._rows(first, last), nearest=nearest)
        return Window(rows, min(rows, default=first), max(rows, default=last), self.count, self.tail.offset)

    def _rows(self, first: int, last: int) -> Rows:
        place, rows = self.index.before(first), {}
        offset, lines = place.offset, place.lines.copy()
        for part in self._parts(offset, self.tail.offset):
            if lines.count >= last:
                break
            passed = lines.copy()
            passed.skip(part.data)
            if passed.count < first:
                lines = passed
            else:
                rows.update(lines.render(part.data))
            offset = part.end
        return self._whole({number: row for number, row in rows.items() if first <= number <= last}, offset, lines)

    def _stderr_before(self, last: int, *, most: int) -> Window:
        rows: Rows = {}
        first, looked_at = 1, 0
        for start, end in reversed(self._stretches()):
            if start.lines.count < last and end.has_stderr:
                rows = self._stderr_rows(start, end.offset, range(1, last + 1)) | rows
                looked_at += end.offset - start.offset
            if len(rows) >= most or looked_at >= LOOKED_AT:
                first = start.lines.count + 1
                break
        kept = _fitting(dict(list(rows.items())[-most:]), nearest=last)
        return Window(kept, min(kept) if len(kept) < len(rows) else first, last, self.count, self.tail.offset)

    def _stderr_after(self, first: int, *, most: int) -> Window:
        rows: Rows = {}
        last, looked_at = self.count, 0
        for start, end in self._stretches():
            if end.lines.count >= first and end.has_stderr:
                rows |= self._stderr_rows(start, end.offset, range(first, self.count + 1))
                looked_at += end.offset - start.offset
            if len(rows) >= most or looked_at >= LOOKED_AT:
                last = end.lines.count
                break
        kept = _fitting(dict(list(rows.items())[:most]), nearest=first)
        return Window(kept, first, max(kept) if len(kept) < len(rows) else last, self.count, self.tail.offset)

    def _stretches(self) -> list[tuple[Place, Place]]:
        """The log in pieces whose ends are known places."""
        known = [place for place in self.index.known() if place.offset < self.tail.offset]
        return list(pairwise([*known, self.tail]))

    def _stderr_rows(self, start: Place, end: int, numbers: range) -> Rows:
        """The lines of stderr that begin between a place and an offset."""
        lines, rows = start.lines.copy(), {}
        for part in self._parts(start.offset, end):
            position = 0
            for begin, after in of_stderr(part.data):
                lines.skip(part.data[position:begin])
                rows.update(lines.render(part.data[begin:after]))
                position = after
            lines.skip(part.data[position:])
        begun = {number: row for number, row in rows.items() if number in numbers and number > start.lines.count}
        return self._whole(begun, end, lines)

    def _whole(self, rows: Rows, offset: int, lines: Lines) -> Rows:
        """The same rows, with what came of those that have not ended at this offset."""
        for stream, line in lines.open.items():
            if line.number in rows:
                rows[line.number] = self._ended(stream, line.number, offset, lines)
        return rows

    def _ended(self, stream: str, number: int, offset: int, lines: Lines) -> str:
        """The row of a line as it ends, however much later; it is open at this offset."""
        for place in self.index.known():
            if offset < place.offset <= self.tail.offset and _is_open(number, stream, place.lines):
                offset, lines = place.offset, place.lines
        for part in self._parts(offset, self.tail.offset):
            passed = lines.copy()
            passed.skip(part.data)
            if not _is_open(number, stream, passed):
                return lines.copy().render(part.data)[number]
            lines = passed
        return lines.unfinished()[number]

    def _parts(self, offset: int, end: int) -> Iterator[Part]:
        with closing(LogFile(self.path)) as log:
            while offset < end and (part := log.read(offset, most=min(READ, end - offset))):
                yield part
                offset = part.end


def _is_open(number: int, stream: str, lines: Lines) -> bool:
    line = lines.open.get(stream)
    return line is not None and line.number == number


def _fitting(rows: Rows, *, nearest: int) -> Rows:
    """So many of these rows as are not too large together, those farthest from a line left out."""
    size, numbers = sum(map(len, rows.values())), list(rows)
    while size > LARGEST and len(numbers) > 1:
        size -= len(rows[numbers.pop(0 if nearest - numbers[0] > numbers[-1] - nearest else -1)])
    return {number: rows[number] for number in numbers}
