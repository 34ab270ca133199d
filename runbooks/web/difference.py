"""How the runbook that a run has run differs from the file of today."""

from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import Enum
from itertools import groupby

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from runbooks import library
from runbooks.access.actor import Actor
from runbooks.access.identify import signed_in
from runbooks.document.parse import without_history
from runbooks.library import LibraryRunbook
from runbooks.models import Run

AROUND = 3  # unchanged lines that are shown on either side of a change
LONGEST = 40  # lines of one kind that are shown; of more the first ones, and the rest folded
MOST_LINES = 3000  # to compare more of them may take a minute


class Today(Enum):
    """What has become of the runbook that a run has run."""

    SAME = "same"
    CHANGED = "changed"
    GONE = "gone"
    UNKNOWN = "unknown"  # of a refused run no source is kept


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a comparison, and its numbers then and now, as far as it has them."""

    text: str
    then: int | None
    now: int | None

    @property
    def kind(self) -> str:
        """What became of it."""
        return "added" if self.then is None else "removed" if self.now is None else "kept"

    @property
    def sign(self) -> str:
        return {"added": "+", "removed": "\N{MINUS SIGN}", "kept": ""}[self.kind]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Lines that follow one another; folded ones are of one kind."""

    lines: list[Line]
    is_folded: bool = False

    @property
    def kind(self) -> str:
        return self.lines[0].kind


@require_safe
@signed_in
def difference(request: HttpRequest, pk: int) -> HttpResponse:
    run = library.run_for(request.actor, pk)
    file = file_today(request.actor, run)
    found = today(run, file)
    context = {"run": run, "today": found.value}
    if found is Today.CHANGED:
        context["parts"] = folded(parts(run.source.split("\n"), without_history(file.source).split("\n")))
    return render(request, "runs/difference.html", context)


def file_today(actor: Actor, run: Run) -> LibraryRunbook | None:
    """The file of the runbook that this run has run, if it is still there."""
    try:
        return library.runbook_for(actor, run.runbook)
    except Http404:
        return None


def today(run: Run, file: LibraryRunbook | None) -> Today:
    """What has become of what this run has run, by its file of today."""
    if file is None:
        return Today.GONE
    if not run.source:
        return Today.UNKNOWN
    return Today.SAME if without_history(file.source) == run.source else Today.CHANGED


def parts(old: list[str], new: list[str]) -> list[list[Line]] | None:
    """The changes with what is around them; None if they are too many to be found in a moment."""
    start = _common(old, new)
    end = _common(old[start:][::-1], new[start:][::-1])
    middle_old, middle_new = old[start : len(old) - end], new[start : len(new) - end]
    if len(middle_old) + len(middle_new) > MOST_LINES:
        return None
    before = [Line(text, number, number) for number, text in enumerate(old[:start], 1)]
    after = [Line(text, len(old) - end + n, len(new) - end + n) for n, text in enumerate(old[len(old) - end :], 1)]
    return _with_what_is_around([*before, *_changes(middle_old, middle_new, start), *after])


def folded(parts: list[list[Line]] | None) -> list[list[Stretch]] | None:
    """The same parts, with long stretches of one kind folded: the few other lines would be too far away to be found."""
    return None if parts is None else [_stretches(part) for part in parts]


def _stretches(part: list[Line]) -> list[Stretch]:
    found, shown = [], []
    for _, group in groupby(part, key=lambda line: line.kind):
        lines = list(group)
        if len(lines) <= LONGEST:
            shown += lines
        else:
            found += [Stretch([*shown, *lines[:AROUND]]), Stretch(lines[AROUND:], is_folded=True)]
            shown = []
    return [*found, Stretch(shown)] if shown else found


def _common(old: list[str], new: list[str]) -> int:
    """How many lines are the same from the beginning."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((number for number, (a, b) in pairs if a != b), min(len(old), len(new)))


def _changes(old: list[str], new: list[str], start: int) -> list[Line]:
    """The lines of both, in order, those that have gone before those that have come."""
    lines: list[Line] = []
    # Of many lines it passes over those that come often: a few of them, over and over, would take minutes.
    for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=True).get_opcodes():
        if tag == "equal":
            lines += [Line(old[a + n], start + a + n + 1, start + c + n + 1) for n in range(b - a)]
        else:
            lines += [Line(old[n], start + n + 1, None) for n in range(a, b)]
            lines += [Line(new[n], None, start + n + 1) for n in range(c, d)]
    return lines


def _with_what_is_around(lines: list[Line]) -> list[list[Line]]:
    """The changed lines and AROUND others on either side, in a part for each place."""
    found: list[list[Line]] = []
    shown = -1
    for number, line in enumerate(lines):
        if line.kind == "kept":
            continue
        first = max(number - AROUND, shown + 1)
        if not found or first > shown + 1:
            found.append([])
        found[-1] += lines[first : number + AROUND + 1]
        shown = max(shown, number + AROUND)
    return found
