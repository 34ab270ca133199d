"""Runs that would wait for each other for ever: each holds a place of its runbook that another's sub-run needs.

Run 1 of A has asked for B, whose only place is held by run 2, which has asked for A, whose only place is held by run 1.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import pairwise

from django.utils import timezone

from runbooks.models import Run, State

# Nobody knows whether a script waits for what it has asked for: one that does not may end meanwhile.
PATIENCE = timedelta(seconds=3)


def deadlocked() -> list[tuple[Run, str]]:
    """The youngest queued sub-run of each such circle, and why it can never begin: without it, the others go on."""
    patient = Run.objects.filter(queued_at__lt=timezone.now() - PATIENCE)
    waiting = patient.filter(state=State.QUEUED, concurrency__gt=0).filter(parent__gt=0)
    if not waiting.exists():
        return []
    runs = (Run.objects.filter(state=State.RUNNING) | waiting).defer("source", "values", "sealed_values", "claims")
    waits, found = Waits(runs), []
    while circle := waits.circle():
        found.append((circle[0], _reason(circle)))
        waits.forget(circle[0])
    return found


class Waits:
    """Which run waits for which: one that goes on for all its sub-runs, a queued one for places of its runbook."""

    def __init__(self, runs: Iterable[Run]):
        self.runs = {run.pk: run for run in runs}
        below, holders = defaultdict(list), defaultdict(list)
        for run in self.runs.values():
            below[run.parent_id].append(run.pk)
            if run.state == State.RUNNING:
                holders[run.runbook].append(run.pk)
        self.others = {
            pk: below[pk] if run.state == State.RUNNING else holders[run.runbook] for pk, run in self.runs.items()
        }

    def circle(self) -> list[Run]:
        """Runs of which each waits for the next, and the last for the first; that is the one to be ended.

        Nothing in it waits for another circle, whose end could be the end of this one, too.
        """
        stuck = self._stuck()
        reached = {pk: self._reached(pk, stuck) for pk in stuck}
        for pk in sorted(stuck, reverse=True):
            if self.runs[pk].state == State.QUEUED and all(pk in reached[other] for other in reached[pk]):
                return self._way_around(pk, stuck)
        return []

    def forget(self, run: Run) -> None:
        """Go on as if this run had ended."""
        del self.runs[run.pk], self.others[run.pk]
        if run.parent_id in self.others:
            self.others[run.parent_id].remove(run.pk)

    def _stuck(self) -> set[int]:
        """The runs that go on only if another of them does."""
        stuck = set(self.runs)
        while free := {pk for pk in stuck if self._goes_on(pk, stuck)}:
            stuck -= free
        return stuck

    def _goes_on(self, pk: int, stuck: set[int]) -> bool:
        run, others = self.runs[pk], self.others[pk]
        if run.state == State.RUNNING:
            return bool(run.cancelled_at) or stuck.isdisjoint(others)
        return len(stuck.intersection(others)) < run.concurrency

    def _reached(self, pk: int, stuck: set[int]) -> dict[int, int]:
        """The runs for which this one waits, at whatever distance, each with the one before it on the shortest way."""
        before: dict[int, int] = {}
        ends = [pk]
        for end in ends:  # it grows as it is gone through
            for other in self.others[end]:
                if other in stuck and other not in before:
                    before[other] = end
                    ends.append(other)
        return before

    def _way_around(self, pk: int, stuck: set[int]) -> list[Run]:
        before = self._reached(pk, stuck)
        way = [before[pk]]
        while way[-1] != pk:
            way.append(before[way[-1]])
        return [self.runs[other] for other in reversed(way)]


def _reason(circle: Sequence[Run]) -> str:
    steps = [f"{_verb(run)} {_named(other)}" for run, other in pairwise(circle)]
    return f"it would wait for ever (concurrency): it {', which '.join([*steps, _verb(circle[-1])])} it."


def _verb(run: Run) -> str:
    return "waits for" if run.state == State.RUNNING else "needs the place of"


def _named(run: Run) -> str:
    return f"{run.runbook.removesuffix('.md')} #{run.pk}"
