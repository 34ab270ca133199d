"""Looks for a text in the output of past runs, the newest first, for as long as somebody would wait for a page."""

import re
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice

from django.db.models import QuerySet

from runbooks import library
from runbooks.models import Run
from runbooks.output.entries import has_parts
from runbooks.output.follow import Reader
from runbooks.web.printed import Printed

SECONDS = 0.7
MOST_RUNS = 25  # found on one page
MOST_LINES = 3  # shown of one run
BATCH = 200
AROUND = 90  # characters shown on each side of what was found
SEQUENCES = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]")  # colours and the like, which may stand between two letters


@dataclass(frozen=True)
class Line:
    """A line in which the text was found, as it is around it."""

    number: int
    before: str
    text: str
    after: str


@dataclass(frozen=True)
class Hit:
    """A run in whose output the text was found, and the first lines with it."""

    run: Run
    lines: list[Line]


@dataclass
class Search:
    """What was found, how far back the search has come, and what could not be searched."""

    hits: list[Hit] = field(default_factory=list)
    looked_at: int = 0
    without_log: int = 0
    back_to: Run | None = None
    is_complete: bool = True


def search(runs: QuerySet[Run], text: str) -> Search:
    """The newest of these runs that have printed this text, however it is capitalized.

    When the time is over or the page is full, `back_to` is the last run that was looked at, and those before it are
    for the next page. One run at least is looked at, or nobody would ever come past a long log.
    """
    found, until = Search(), time.monotonic() + SECONDS
    for run in _newest(runs):
        if found.looked_at and (time.monotonic() > until or len(found.hits) == MOST_RUNS):
            found.is_complete = False
            break
        found.looked_at += 1
        found.back_to = run
        if lines := list(_lines_with(run, text)):
            found.hits.append(Hit(run, lines))
        elif run.started_at and not run.log.exists():
            found.without_log += 1
    return found


def _newest(runs: QuerySet[Run]) -> Iterator[Run]:
    """These runs, the newest first, read in batches: an open cursor would hold up the database's housekeeping."""
    batch = library.newest(runs, most=BATCH)
    while batch:
        yield from batch
        batch = library.newest(runs.filter(pk__lt=batch[-1].pk), most=BATCH)


def _lines_with(run: Run, text: str) -> Iterator[Line]:
    """The first lines of a run's output that have this text, as people see them: without colours and the like."""
    pattern = re.compile(re.escape(text), re.IGNORECASE)
    found = ((number, shown, pattern.search(shown)) for number, shown in _candidates(run, text))
    lines = (_excerpt(number, shown, match) for number, shown, match in found if match)
    return islice(lines, MOST_LINES)


def _candidates(run: Run, text: str) -> Iterator[tuple[int, str]]:
    """The lines of those parts of the log that can have this text; most of them need not be taken apart."""
    printed = Printed()
    with closing(Reader(run)) as reader:
        for part in reader.read_to(reader.end()):
            if printed.has_open_lines or _may_have(part.data, text):
                yield from ((line.number, line.text) for line in printed.lines(part.data))
            else:
                printed.skip(part.data)
    yield from ((line.number, line.text) for line in printed.open_lines())


def _may_have(data: bytes, text: str) -> bool:
    """Whether the text can be in these log lines: most of them need not be taken apart."""
    plain = SEQUENCES.sub(b"", data) if b"\x1b" in data else data
    if b"\x1b" in plain or has_parts(data):
        return True
    return text.casefold() in plain.decode("utf-8", "replace").casefold()


def _excerpt(number: int, shown: str, match: re.Match[str]) -> Line:
    start, end = max(0, match.start() - AROUND), match.end() + AROUND
    before = ("…" if start else "") + shown[start : match.start()]
    return Line(number, before, match[0], shown[match.end() : end] + ("…" if end < len(shown) else ""))
