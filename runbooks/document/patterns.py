"""Matching values to an author's pattern: one of ten characters can keep every thread waiting for ever."""

import re
import time
from math import prod

import regex

LONGEST_PATTERN = 500
MATCH_SECONDS = 0.1
ALL_SECONDS = 0.5
MOST_COPIES = 5_000
COUNT = re.compile(r"(\)?)[?+*]?\{(\d*)")
VERBOSE = re.compile(r"\(\?[\w-]*x[\w-]*[:)]")


class BadPattern(Exception):
    """A pattern is no regular expression; str() says why."""


class TooSlow(Exception):
    """Whether a value fits could not be found out in time."""


class Patterns:
    """Matches values to the patterns of one runbook; a runbook has hundreds, so their time together is bounded too."""

    def __init__(self) -> None:
        self.seconds = ALL_SECONDS

    def fit(self, pattern: str, value: str) -> bool:
        """Whether the whole value is what the pattern describes; TooSlow after a tenth of a second."""
        expression = self.compiled(pattern)
        started = time.thread_time()
        try:
            return expression.fullmatch(value, timeout=min(MATCH_SECONDS, self.seconds)) is not None
        except (TimeoutError, MemoryError):
            raise TooSlow from None
        finally:
            self.seconds -= time.thread_time() - started

    def compiled(self, pattern: str) -> regex.Pattern[str]:
        """The pattern as a regular expression; BadPattern says what is wrong with it."""
        if self.seconds <= 0:
            raise TooSlow
        started = time.thread_time()
        try:
            return _compiled(pattern)
        finally:
            self.seconds -= time.thread_time() - started


def _compiled(pattern: str) -> regex.Pattern[str]:
    if len(pattern) > LONGEST_PATTERN:
        raise BadPattern(f"it is longer than {LONGEST_PATTERN} characters")
    if VERBOSE.search(pattern):
        raise BadPattern("the flag x is not supported")
    if _copies(pattern) > MOST_COPIES:
        raise BadPattern("its repetitions multiply to too many; simplify it")
    try:
        return regex.compile(pattern, regex.VERSION0)
    except (regex.error, ValueError, OverflowError, RecursionError, Warning) as error:
        raise BadPattern(str(error)) from None


def _copies(pattern: str) -> int:
    """At least how long the pattern is once each part stands there as often as it must occur.

    regex writes it out like that: without this limit, `((a{999}){999}){999}` ends the server for want of memory.
    """
    counts = [(group, int(digits or 0)) for group, digits in COUNT.findall(pattern)]
    groups = prod(max(count, 1) for group, count in counts if group)
    return groups * (len(pattern) + sum(count for group, count in counts if not group))
