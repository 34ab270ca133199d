"""Looks for a text in the output of past runs, the newest first, for as long as somebody would wait for a page."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from django.db.models import QuerySet

from runbooks import library
from runbooks.models import Run
from runbooks.output import search as log_search
from runbooks.output.search import Found, Query
from runbooks.web.excerpt import Excerpt, excerpts

SECONDS = 0.7
MOST_RUNS = 25  # found on one page
MOST_LINES = 3  # shown of one run
BATCH = 200


@dataclass(frozen=True)
class Hit:
    """A run in whose output the text was found, and the first lines with it."""

    run: Run
    lines: list[Excerpt]


@dataclass
class Search:
    """What was found, how far back the search has come, and what could not be searched."""

    hits: list[Hit] = field(default_factory=list)
    looked_at: int = 0
    without_log: int = 0
    too_long: list[Run] = field(default_factory=list)  # searched in part, for all the time that there is for a page
    back_to: Run | None = None
    is_complete: bool = True

    def add(self, run: Run, lines: list[Excerpt], *, is_all: bool) -> None:
        """Take in what was found in a run's log, and whether that is all there is."""
        self.looked_at += 1
        self.back_to = run
        if lines:
            self.hits.append(Hit(run, lines))
        elif not is_all:
            self.too_long.append(run)
        elif run.started_at and not run.log.exists():
            self.without_log += 1


def search(runs: QuerySet[Run], text: str) -> Search:
    """The newest of these runs that have printed this text, however it is capitalized.

    When the time is over or the page is full, `back_to` is the last run that was looked at, and those before it are
    for the next page. One run at least is looked at, or nobody would ever come past a long log.
    """
    query, found, until = Query(text), Search(), time.monotonic() + SECONDS
    for run in _newest(runs):
        left = until - time.monotonic()
        is_over = left < 0 or len(found.hits) == MOST_RUNS
        told = Found() if found.looked_at and is_over else _told(run, query, seconds=left)
        is_all = told.is_complete or bool(told.count)
        if found.looked_at and not is_all:
            # The next page begins with this run, and has all its time for it.
            found.is_complete = False
            break
        found.add(run, excerpts(told, query, most=MOST_LINES), is_all=is_all)
    return found


def _told(run: Run, query: Query, *, seconds: float) -> Found:
    """What is found in a run's log: the first lines are enough."""
    return log_search.search(run.log, query, seconds=seconds, grace=0, enough=MOST_LINES)


def _newest(runs: QuerySet[Run]) -> Iterator[Run]:
    """These runs, the newest first, read in batches: an open cursor would hold up the database's housekeeping."""
    batch = library.newest(runs, most=BATCH)
    while batch:
        yield from batch
        batch = library.newest(runs.filter(pk__lt=batch[-1].pk), most=BATCH)
