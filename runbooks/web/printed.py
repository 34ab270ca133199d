"""What a run has printed first, line by line, as people read it."""

from itertools import chain
from typing import NamedTuple

from runbooks.document.pictured import pictured
from runbooks.models import Run
from runbooks.output.whole import WholeLines

LONGEST = 4096  # characters of a line that are compared


class Head(NamedTuple):
    """The first lines of what a run has printed, and whether there are more."""

    lines: list[str]
    is_cut: bool


def printed_head(run: Run, *, most: int) -> Head:
    """What a run has printed first."""
    texts: dict[int, str] = {}
    for line in chain.from_iterable(WholeLines(run.log, first=1, last=None).told()):
        texts.setdefault(line.number, pictured(line.text[:LONGEST]))  # a very long line comes in pieces
        if len(texts) > most:
            break
    # A line may end after one that has begun later.
    return Head([text for _, text in sorted(texts.items())][:most], len(texts) > most)
