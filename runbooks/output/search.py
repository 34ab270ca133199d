"""Which lines of a log have a text in them, as a reader sees them: without times and streams, colours and secrets.

A request looks for so long, and then says how far it has come, for the next one to go on from there.
"""

import math
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from runbooks.output.entries import PREFIX, frame_kind, has_parts, is_stdout, parse
from runbooks.output.html import SEQUENCE, pictured, visible
from runbooks.output.index import place_before
from runbooks.output.lines import Lines
from runbooks.output.logfile import LogFile, Part

MOST = 10_000  # lines that are told; more are only counted
MOST_TEXTS = 500  # of those, how many are told with what they say
SECONDS = 2.0
GRACE = 1.0  # more seconds to come to a place where no line is open
READ = 64 * 1024
COLOURS = f"(?:{SEQUENCE.pattern})*+".encode()  # possessive: there are two ways to read each, and no need to try both
OTHERS = (b"\x1bP", b"\x1bX")  # they begin a sequence by a letter that is a small one in what is looked through


@dataclass(frozen=True)
class Query:
    """What is looked for."""

    text: str
    only_stderr: bool = False
    is_exact: bool = False  # whether capital letters are others than small ones

    def folded(self, text: str) -> str:
        return text if self.is_exact else text.lower()

    def found_in(self, text: str) -> tuple[int, int]:
        """From where to where a line has it."""
        start = self.folded(text).find(self.folded(self.text))
        return start, start + len(self.text)

    def may_be_in(self, data: bytes) -> bool:
        """Whether it is worth while to take these log lines apart; no line of theirs is in parts."""
        if not self.text.isascii() or any(begin in data for begin in OTHERS):
            return True
        data = data if self.is_exact else data.lower()
        if b"\x1b" in data:
            return bool(self._coloured.search(data))
        return self.folded(self.text).encode() in data

    @cached_property
    def _coloured(self) -> re.Pattern[bytes]:
        """The text, with a change of colour between any two of its letters."""
        return re.compile(COLOURS.join(re.escape(letter).encode() for letter in self.folded(self.text)))


@dataclass(slots=True)
class Found:
    """How many lines have it, those of them around the line `near`, and what some say; looked at was up to `until`.

    Of those that are told with what they say, `stderr` has the ones that went there.
    Before the first of `lines` are as many more as `skipped` says. A search that goes on after it may bring a line from
    before it, which has ended only now.
    """

    near: int = 1
    count: int = 0
    skipped: int = 0
    lines: list[int] = field(default_factory=list)
    texts: dict[int, str] = field(default_factory=dict)
    stderr: set[int] = field(default_factory=set)
    until: int = 0
    is_complete: bool = False

    def add(self, number: int, text: str) -> None:
        self.count += 1
        if len(self.lines) < MOST:
            self.lines.append(number)
        elif self.lines[MOST // 2] < self.near:
            # Who reads the end of a long log looks for what is there, not for what was at its beginning.
            self.skipped += MOST // 2
            self.lines = [*self.lines[MOST // 2 :], number]
        if len(self.texts) < MOST_TEXTS:
            self.texts[number] = pictured(text)


@dataclass(frozen=True, slots=True)
class Block:
    """Lines as they are seen, one below the other, and the number of each."""

    numbers: Sequence[int]
    text: str


def search(
    log: Path,
    query: Query,
    *,
    start: int = 1,
    near: int = 1,
    seconds: float = SECONDS,
    grace: float = GRACE,
    enough: float = math.inf,
) -> Found:
    """The lines from `start` on with a text, as far as they are found in so many seconds, or until they are enough."""
    found, until = Found(near), time.monotonic() + seconds
    place = place_before(log, start)
    lines = place.lines.copy()
    for part, is_last in _parts(log, place.offset, lines):
        late = time.monotonic() - until
        # A line that is open here might belong to neither this search nor the next.
        is_over = lines.count >= start and late > 0 and (not lines.open or late > grace)
        if is_over or found.count >= enough:
            is_last_open = any(line.number == lines.count for line in lines.open.values())
            found.until = max(start, lines.count - is_last_open)
            break
        told = len(found.texts)
        for number, text in _hits(_block(part, lines, query, start=start, is_last=is_last), query):
            found.add(number, text)
        if len(found.texts) > told:
            found.stderr |= _of_stderr(list(found.texts)[told:], part.data, lines)
    else:
        # A line that has not ended is looked at again, for more of it may come.
        open_lines = (line.number for line in lines.open.values())
        found.until, found.is_complete = max(start, min(open_lines, default=lines.count + 1)) - 1, True
    found.lines.sort()
    return found


def _parts(log: Path, offset: int, lines: Lines) -> Iterator[tuple[Part, bool]]:
    """The log from an offset on, and which part is the last; the lines go along, and stand where the part begins."""
    with closing(LogFile(log)) as file:
        end = file.end()
        while offset < end and (part := file.read(offset, most=min(READ, end - offset))):
            yield part, part.end >= end
            lines.skip(part.data)
            offset = part.end


def _block(part: Part, lines: Lines, query: Query, *, start: int, is_last: bool) -> Block:
    """The lines among which hits are looked for; none, if it is plain that there is no hit."""
    data = part.data
    if query.only_stderr and "stderr" not in lines.open and is_stdout(data):
        return Block((), "")
    if lines.open or has_parts(data):
        return _joined(data, lines, query, start=start, is_last=is_last)
    if not query.may_be_in(data):
        return Block((), "")
    contents = _contents(data, query)
    first = max(0, start - lines.count - 1)
    numbers = range(lines.count + first + 1, lines.count + len(contents) + 1)
    return Block(numbers, _seen(contents[first:]))


def _contents(data: bytes, query: Query) -> list[bytes]:
    """What each of these log lines says, of which none is a part; those that were not asked for say nothing."""
    entries = data.removesuffix(b"\n").split(b"\n")
    if is_stdout(data):
        return [entry[PREFIX:] for entry in entries]
    kinds = [frame_kind(entry[27:PREFIX]) for entry in entries]
    return [
        b"" if query.only_stderr and kind.stream != "stderr" else entry[PREFIX:] if kind.is_ours else entry
        for entry, kind in zip(entries, kinds, strict=True)
    ]


def _joined(data: bytes, lines: Lines, query: Query, *, start: int, is_last: bool) -> Block:
    """The lines that end in this piece of the log, of which some are in parts; at the log's end, all lines."""
    count, begun = lines.count, {stream: line.number for stream, line in lines.open.items()}
    contents = {line.number: [line.content] for line in lines.open.values() if _is_wanted(line.stream, query)}
    older = set(begun.values()) if count >= start else set()
    for entry in data.removesuffix(b"\n").split(b"\n"):
        kind = frame_kind(entry[27:PREFIX])
        number = begun.pop(kind.stream, None)
        if number is None:
            number = count = count + 1
            if count == start:
                older = set(begun.values())
            contents[number] = []
        if kind.is_part:
            begun[kind.stream] = number
        if _is_wanted(kind.stream, query):
            contents[number].append(entry[PREFIX:] if kind.is_ours else entry)
    unfinished = () if is_last else begun.values()
    wanted = {
        number: b"".join(pieces)
        for number, pieces in contents.items()
        if number not in unfinished and (number >= start or number in older)
    }
    return Block(list(wanted), _seen(list(wanted.values())))


def _of_stderr(numbers: list[int], data: bytes, lines: Lines) -> set[int]:
    """Which of these lines, of which this piece of the log tells, went to stderr."""
    if not lines.open and not has_parts(data):
        entries = data.split(b"\n")
        kinds = {number: frame_kind(entries[number - lines.count - 1][27:PREFIX]) for number in numbers}
        return {number for number, kind in kinds.items() if kind.stream == "stderr"}
    lines = lines.copy()
    known = [*lines.open.values(), *map(lines.add, parse(data))]
    return {line.number for line in known if line.stream == "stderr"}.intersection(numbers)


def _is_wanted(stream: str, query: Query) -> bool:
    return stream == "stderr" or not query.only_stderr


def _seen(contents: list[bytes]) -> str:
    return visible(b"\n".join(contents).decode("utf-8", "replace"))


def _hits(block: Block, query: Query) -> Iterator[tuple[int, str]]:
    """The number and the text of each line that has what is looked for."""
    # No line has a line end in it, and a text that begins with one would be found at the same place for ever.
    if not block.numbers or "\n" in query.text:
        return
    text = block.text if query.text.isascii() else pictured(block.text)
    folded, wanted = query.folded(text), query.folded(query.text)
    position, place, texts = folded.find(wanted), 0, text.split("\n")
    counted = 0
    while position >= 0:
        place += folded.count("\n", counted, position)
        yield block.numbers[place], texts[place]
        counted = folded.find("\n", position)
        position = folded.find(wanted, counted) if counted >= 0 else -1
