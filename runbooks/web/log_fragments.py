"""The log as a person sees it: the panel of a run's page, and the pieces of HTML that keep it live."""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from django.urls import reverse
from django.utils.safestring import mark_safe

from runbooks.models import Run
from runbooks.output.encode import sse
from runbooks.output.entries import tail_offset
from runbooks.output.follow import Part, Reader
from runbooks.output.index import index_of
from runbooks.output.lines import Lines
from runbooks.output.windows import MOST, Rows, Window, Windows
from runbooks.web.swap import address, replacement

BEHIND = 2000  # how many lines a viewer may fall behind
CHUNK_LINES = 500
CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Chunk:
    """An event of so many log lines as HTML: new ones in their wrapper, and how lines change that had begun before."""

    event: bytes
    count: int


class Rendered:
    """A part of a log as HTML, for all who read it: chunk after chunk, as the first of them asks for the next.

    `lines` is where the log's lines stand after what has been rendered.
    """

    def __init__(self, part: Part, lines: Lines):
        self.lines = lines
        self.offset, self.rest = part.start, part.data
        self.chunks: list[Chunk] = []

    def __iter__(self) -> Iterator[Chunk]:
        number = 0
        while number < len(self.chunks) or self.rest:
            if number == len(self.chunks):
                self._render_next()
            yield self.chunks[number]
            number += 1

    def _render_next(self) -> None:
        # A copy: others may still be where these lines stand.
        cut, lines, known = _cut(self.rest), self.lines.copy(), self.lines.count
        rows = lines.render(self.rest[:cut])
        self.lines, self.offset, self.rest = lines, self.offset + cut, self.rest[cut:]
        self.chunks.append(Chunk(sse(_html(rows, known=known), id=self.offset), len(rows)))


@dataclass(frozen=True, slots=True)
class Jump:
    """The way of a viewer who is far behind to near the end: how known lines change by it, and where it leads."""

    event: bytes
    end: int
    lines: Lines


def log_context(run: Run, *, line: str = "") -> dict[str, Any]:
    """What the panel shows when the page opens: the log's end or what is around a line, and where the rest is found."""
    windows = Windows(run.log)
    window = windows.around(int(line)) if is_number(line) else windows.at_end()
    page = run.get_absolute_url()
    return {
        "log": mark_safe(_chunks(window.rows)),  # noqa: S308 - escaped by output.html
        "window": window,
        "passed_over": window.first - 1,
        "is_later": window.last < window.count,
        "earlier_url": f"{page}?line={max(1, window.first - MOST // 2)}#log",
        "later_url": f"{page}?line={window.last + MOST // 2}#log",
        "end_url": f"{page}#output",
        "lines_url": reverse("lines", args=[run.pk]),
        "search_url": reverse("search", args=[run.pk]),
        "events_url": f"{address(run, 'events')}?after={window.end}",
        "log_url": address(run, "log"),
        "json_url": address(run, "log-json"),
        "is_gone": bool(run.started_at) and not run.log.exists(),
        "silent": _silent(run),
    }


def _silent(run: Run) -> int | None:
    """For how many seconds a run that goes on has printed nothing; None if it does not, or waits to be started."""
    if not run.is_active or run.seconds is None:
        return None
    try:
        printed_at = run.log.lstat().st_mtime
    except OSError:
        return int(run.seconds)
    # A clock may have been set back meanwhile.
    return int(min(run.seconds, max(0.0, time.time() - printed_at)))


def is_number(text: str) -> bool:
    """Whether this can be the number of a line."""
    return text.isascii() and text.isdigit() and len(text) < 16


def window_html(window: Window) -> str:
    """Lines anywhere in the log: all of them, or those of one stream in a wrapper that covers them all."""
    if not window.rows or len(window.rows) == window.last - window.first + 1:
        return _chunks(window.rows)
    return chunk([*window.rows.values()], first=window.first, last=window.last)


def lines_at(run: Run, offset: int) -> Lines:
    """How the lines of a run's log stand at an offset: their number, and what has begun there."""
    return index_of(run.log).at(offset)


def jump(run: Run, lines: Lines, *, after: int) -> Jump | None:
    """The way to near the end; None if that is no more than BEHIND ahead."""
    with closing(Reader(run)) as reader:
        end = reader.end()
    if tail_offset(run.log, lines=BEHIND, end=end) <= after:
        return None
    near = tail_offset(run.log, lines=CHUNK_LINES, end=end)
    there = lines_at(run, near)
    rows = _ended_between(run, lines, there) | there.unfinished()
    return Jump(sse(_html(rows, known=lines.count), id=near), near, there)


def _ended_between(run: Run, before: Lines, after: Lines) -> Rows:
    """The lines that had begun before and have ended since: nobody else would tell how."""
    ended = {line.number for line in before.open.values()} - {line.number for line in after.open.values()}
    windows, rows = Windows(run.log), {}
    for number in sorted(ended):
        rows |= windows.beginning_with(number, most=1).rows
    return rows


def _html(rows: Mapping[int, str], *, known: int) -> str:
    """New lines in their wrapper, and what takes the place of lines up to the number that is known."""
    new = _chunks({number: row for number, row in rows.items() if number > known})
    return new + "".join(replacement(f"L{number}", row) for number, row in rows.items() if number <= known)


def _chunks(rows: Mapping[int, str]) -> str:
    """Rows in their wrappers, each of lines that follow each other."""
    numbers = list(rows)
    starts = [place for place, number in enumerate(numbers) if not place or numbers[place - 1] != number - 1]
    parts = (numbers[start:end] for start, end in pairwise([*starts, len(numbers)]))
    return "".join(chunk([rows[number] for number in part], first=part[0], last=part[-1]) for part in parts)


def chunk(rows: list[str], *, first: int, last: int) -> str:
    """Rows in a wrapper, which says what lines it covers."""
    return f'<div class="log__chunk" data-first="{first}" data-last="{last}">{"".join(rows)}</div>'


def _cut(data: bytes) -> int:
    """How many bytes make one chunk: whole lines, at least one."""
    if len(data) > CHUNK_BYTES:
        data = data[: data.rfind(b"\n", 0, CHUNK_BYTES) + 1 or data.find(b"\n") + 1]
    if data.count(b"\n") <= CHUNK_LINES:
        return len(data)
    position = -1
    for _ in range(CHUNK_LINES):
        position = data.find(b"\n", position + 1)
    return position + 1
