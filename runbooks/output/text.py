"""A log as text, for programs: what the script wrote to each stream, decoded."""

from collections.abc import Iterator
from dataclasses import dataclass

from runbooks.models import Run
from runbooks.output.entries import written
from runbooks.output.follow import Reader


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of what a script wrote to one stream; `end` is the offset after it."""

    stream: str
    text: str
    end: int


def texts(data: bytes, *, start: int) -> Iterator[Text]:
    """The text of whole log lines whose first byte is at this offset; what is not UTF-8 becomes U+FFFD."""
    # No entry ends within a character, so that a reader may begin at any.
    for piece in written(data, start=start):
        yield Text(piece.stream, piece.content.decode("utf-8", "replace"), piece.end)


def text_of(run: Run, stream: str, *, after: int, end: int) -> Iterator[str]:
    """What one stream has printed between two offsets, in pieces of bounded size, of which some may be empty."""
    reader = Reader(run, after=after)
    try:
        for part in reader.read_to(end):
            yield "".join(piece.text for piece in texts(part.data, start=part.start) if piece.stream == stream)
    finally:
        reader.close()
