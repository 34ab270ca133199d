"""What a run has printed, line by line, as people read it: with the numbers of the log, and without its colours."""

from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import NamedTuple

from runbooks.models import Run
from runbooks.output.entries import count_lines, parse
from runbooks.output.follow import Reader
from runbooks.output.html import pictured, visible

LONGEST = 4096  # characters of a line that are compared


class PrintedLine(NamedTuple):
    """A line of the log; its text is what can be seen of it."""

    number: int
    stream: str
    text: str


class Head(NamedTuple):
    """The first lines of what a run has printed, and whether there are more."""

    lines: list[str]
    is_cut: bool


def printed_head(run: Run, *, most: int) -> Head:
    """What a run has printed first."""
    with closing(_printed_lines(run)) as lines:
        # A line may end after one that has begun later.
        texts = [line.text[:LONGEST] for line in sorted(islice(lines, most + 1))]
    return Head(texts[:most], len(texts) > most)


def _printed_lines(run: Run) -> Iterator[PrintedLine]:
    """All that a run has printed so far."""
    printed = Printed()
    with closing(Reader(run)) as reader:
        for part in reader.read_to(reader.end()):
            yield from printed.lines(part.data)
    yield from printed.open_lines()


class Printed:
    """Numbers the lines of a log as its page does: by where they begin, however the two streams mix."""

    def __init__(self) -> None:
        self.count = 0
        self._open: dict[str, tuple[int, list[bytes]]] = {}

    @property
    def has_open_lines(self) -> bool:
        return bool(self._open)

    def skip(self, data: bytes) -> None:
        """Pass over whole log lines in which no line begins that does not end in them."""
        self.count += count_lines(data)

    def lines(self, data: bytes) -> Iterator[PrintedLine]:
        """The lines that end in these whole log lines."""
        for entry in parse(data):
            number, pieces = self._open.pop(entry.stream, (0, []))
            if not number:
                self.count = number = self.count + 1
            pieces.append(entry.content)
            if entry.is_part:
                self._open[entry.stream] = (number, pieces)
            else:
                yield _line(number, entry.stream, pieces)

    def open_lines(self) -> Iterator[PrintedLine]:
        """The lines that have begun and not ended."""
        for stream, (number, pieces) in sorted(self._open.items(), key=lambda line: line[1][0]):
            yield _line(number, stream, pieces)


def _line(number: int, stream: str, pieces: list[bytes]) -> PrintedLine:
    content = b"".join(pieces).decode("utf-8", "replace")
    return PrintedLine(number, stream, pictured(visible(content)))
