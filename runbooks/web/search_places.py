"""What all searches in output have in common: what may be looked for, and how many go on at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.exceptions import ValidationError

AT_ONCE = 2  # each takes a processor for seconds, and all other pages need one, too
PATIENCE = 5.0  # seconds
_places = threading.BoundedSemaphore(AT_ONCE)


class Busy(Exception):
    """Others are searching; str() says so, for people."""


@contextmanager
def places() -> Iterator[None]:
    """A place to search in, one of a few; raises Busy if none comes free."""
    if not _places.acquire(timeout=PATIENCE):
        raise Busy("Too many people are searching at this moment.")
    try:
        yield
    finally:
        _places.release()


def one_line(text: str) -> str:
    """The text, if a line could have it; raises ValidationError."""
    if "\n" in text or "\r" in text:
        raise ValidationError("Look for one line at a time: there is a line end in it.")
    return text
