"""How long a runbook's runs usually take."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from django.db.models import QuerySet

from runbooks.models import Run, State

RECENT = 50
# Of the newest runs: who may see few of very many would wait until all are looked through.
LOOKED_AT = 200
LOOKED_AT_OF_ALL = 1000
FEWEST = 3  # of fewer, nobody can say what is usual
WORTH_TELLING = 2.0  # seconds: of what takes less, nobody wonders how long it will


@dataclass(frozen=True, slots=True)
class Usual:
    """How long a runbook's runs take, and after how many seconds one takes longer than usual: half of them do a bit."""

    seconds: float

    @property
    def late(self) -> float:
        return 1.5 * self.seconds


def usual_of(runs: QuerySet[Run], runbook: str) -> Usual | None:
    """What to measure a run that goes on against, by those of these runs; None if nobody knows, or wonders."""
    seconds = typical_seconds(runs, runbook)
    return Usual(seconds) if seconds is not None and seconds >= WORTH_TELLING else None


def typical_seconds(runs: QuerySet[Run], runbook: str) -> float | None:
    """The median duration of its newest ones that succeeded of these runs; None if there are too few.

    They are those that somebody may see: others' durations tell of others' runs.
    """
    times = _succeeded(runs, most=LOOKED_AT, runbook=runbook).values_list("started_at", "ended_at")
    return _median(_took(*pair) for pair in times[:RECENT])


def typical_of_all(runs: QuerySet[Run]) -> dict[str, float]:
    """The same by runbook, of those among the newest runs there are: one question for a whole list."""
    found = defaultdict(list)
    for runbook, *times in _succeeded(runs, most=LOOKED_AT_OF_ALL).values_list("runbook", "started_at", "ended_at"):
        found[runbook].append(_took(*times))
    medians = {runbook: _median(seconds) for runbook, seconds in found.items()}
    return {runbook: seconds for runbook, seconds in medians.items() if seconds is not None}


def _succeeded(runs: QuerySet[Run], *, most: int, **of: str) -> QuerySet[Run]:
    newest = Run.objects.filter(state=State.SUCCEEDED, **of).order_by("-pk").values("pk")[:most]
    return runs.filter(pk__in=newest, started_at__isnull=False).order_by("-pk")


def _took(started_at: datetime, ended_at: datetime) -> float:
    return max(0.0, (ended_at - started_at).total_seconds())  # a clock may be set back meanwhile


def _median(seconds: Iterable[float]) -> float | None:
    known = list(seconds)
    return median(known) if len(known) >= FEWEST else None
