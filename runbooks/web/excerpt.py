"""A line in which a text was found, as it is around it."""

from dataclasses import dataclass

from runbooks.output.search import Found, Query

AROUND = 100  # characters that are shown on each side of what was found


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What was found in a line, and what is before and after it."""

    number: int
    before: str
    text: str
    after: str
    is_stderr: bool


def excerpts(found: Found, query: Query, *, most: int | None = None) -> list[Excerpt]:
    """The first lines of a log that were found, as they are shown."""
    told = sorted(found.texts.items())[:most]
    return [_excerpt(number, text, query, is_stderr=number in found.stderr) for number, text in told]


def _excerpt(number: int, text: str, query: Query, *, is_stderr: bool) -> Excerpt:
    start, end = query.found_in(text)
    before = ("…" if start > AROUND else "") + text[max(0, start - AROUND) : start]
    after = text[end : end + AROUND] + ("…" if len(text) > end + AROUND else "")
    return Excerpt(number, before, text[start:end], after, is_stderr)
