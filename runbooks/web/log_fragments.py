"""The log as a person sees it: the panel of a run's page, and the pieces of HTML that keep it live."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.template.loader import render_to_string
from django.utils.safestring import mark_safe

from runbooks.models import Run
from runbooks.output.encode import sse
from runbooks.output.entries import tail_offset
from runbooks.output.follow import Part, Reader
from runbooks.output.html import Lines
from runbooks.web.swap import address, replacement

PAGE_LINES = 2000  # how many lines a page opens with, and how far a viewer may fall behind
CHUNK_LINES = 500
CHUNK_BYTES = 64 * 1024
STEP = 1024 * 1024


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
    """The way of a viewer who is far behind to near the end: the event that tells of it, and where it leads."""

    event: bytes
    end: int
    lines: Lines


def log_context(run: Run) -> dict[str, Any]:
    """What the panel shows when the page opens, and the offset at which the live stream goes on."""
    rows: dict[int, str] = {}
    with closing(Reader(run)) as reader:
        end = reader.end()
        reader.offset = tail_offset(run.log, lines=PAGE_LINES, end=end) if end else 0
        lines = lines_at(run, reader.offset)
        passed_over = lines.count
        for part in reader.read_to(end):
            rows.update(lines.render(part.data))
    shown = list(rows.values())
    wrappers = (_wrapped(shown[start : start + CHUNK_LINES]) for start in range(0, len(shown), CHUNK_LINES))
    return {
        "log": mark_safe("".join(wrappers)),  # noqa: S308 - escaped by output.html
        "passed_over": passed_over,
        "events_url": f"{address(run, 'events')}?after={end}",
        "log_url": address(run, "log"),
        "is_gone": bool(run.started_at) and not run.log.exists(),
    }


def lines_at(run: Run, offset: int) -> Lines:
    """How the lines of a run's log stand at an offset: their number, and what has begun there."""
    milestones = _milestones(run.log)
    before = (milestones.get(step, (offset, None)) for step in range(offset // STEP, -1, -1))
    start, lines = next((place for place in before if place[0] < offset), (0, Lines()))
    lines = lines.copy()
    with closing(Reader(run, after=start)) as reader:
        for part in reader.read_to(offset):
            lines.skip(part.data)
            milestones.setdefault(part.end // STEP, (part.end, lines.copy()))
    return lines


@lru_cache(maxsize=100)
def _milestones(log: Path) -> dict[int, tuple[int, Lines]]:
    """Where the lines of a log stand soon after each STEP, as far as anybody has come: nobody need count them again."""
    return {}


def jump(run: Run, lines: Lines, *, after: int) -> Jump | None:
    """The way to near the end; None if that is no more than PAGE_LINES ahead."""
    with closing(Reader(run, after=after)) as reader:
        end, known, lines = reader.end(), lines.count, lines.copy()
        if tail_offset(run.log, lines=PAGE_LINES, end=end) <= after:
            return None
        for part in reader.read_to(tail_offset(run.log, lines=CHUNK_LINES, end=end)):
            lines.skip(part.data)
        unfinished = lines.unfinished()
        passed = lines.count - known - sum(number > known for number in unfinished)
        html = (passed_over_html(run, passed) if passed else "") + _html(unfinished, known=known)
        return Jump(sse(html, id=reader.offset), reader.offset, lines)


def passed_over_html(run: Run, count: int) -> str:
    """The line that stands for lines that were not sent, for the viewer was too far behind."""
    context = {"passed_over": count, "log_url": address(run, "log")}
    return render_to_string("runs/_log_passed_over.html", context)


def _html(rows: Mapping[int, str], *, known: int) -> str:
    """New lines in their wrapper, and what takes the place of lines up to the number that is known."""
    new = _wrapped([row for number, row in rows.items() if number > known])
    return new + "".join(replacement(f"L{number}", row) for number, row in rows.items() if number <= known)


def _wrapped(rows: list[str]) -> str:
    return f'<div class="log__chunk" data-lines="{len(rows)}">{"".join(rows)}</div>' if rows else ""


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
