"""How many runs there were, counted by the database, of those that somebody may see; kept for a minute.

All of it is found in the index of the list of runs: rows have their sources, and to read 100,000 of them takes long.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.core.cache import cache
from django.db.models import CharField, Count, F, Min, QuerySet, Value
from django.db.models.functions import Cast, Coalesce, Substr
from django.db.models.lookups import GreaterThanOrEqual
from django.utils import timezone

from runbooks import library
from runbooks.access.actor import Actor
from runbooks.models import Run

KEPT = 60  # seconds
HOUR, MINUTE = len("2026-11-22 16"), len("2026-11-22 16:23")


@dataclass(frozen=True)
class Counts:
    """Runs since the first of these days, by day and state, and by runbook, person and state."""

    days: list[date]
    by_day: Counter[tuple[date, str]]
    by_use: Counter[tuple[str, str, str]]

    @property
    def by_runbook(self) -> dict[str, Counter[str]]:
        """Each runbook, with how many runs in which state."""
        return _by((runbook, state, count) for (runbook, _, state), count in self.by_use.items())

    @property
    def by_person(self) -> dict[str, Counter[str]]:
        """Each person, with how many runs in which state."""
        return _by((person, state, count) for (_, person, state), count in self.by_use.items())

    @property
    def states(self) -> Counter[str]:
        """How many runs in which state."""
        return sum(self.by_runbook.values(), Counter())


def counts(actor: Actor, *, days: int) -> Counts:
    """The runs of today and of the days before it, in the viewer's time zone, that this actor may see."""
    last = timezone.localdate()
    shown = [last - timedelta(days=days - 1 - number) for number in range(days)]
    start = timezone.make_aware(datetime.combine(shown[0], time.min))
    runs = library.visible_runs(actor).order_by()
    # Who sees the same runs sees the same numbers, and whoever has lost a role does so at once.
    seen = repr((runs.query.sql_with_params(), start.isoformat(), timezone.get_current_timezone_name()))
    key = f"usage-{hashlib.sha256(seen.encode()).hexdigest()}"
    return cache.get_or_set(key, lambda: _counted(runs, start, shown), KEPT)


def _by(counted: Iterable[tuple[str, str, int]]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for name, state, count in counted:
        found.setdefault(name, Counter())[state] += count
    return found


def _counted(runs: QuerySet[Run], start: datetime, days: list[date]) -> Counts:
    grouped = _grouped(runs, start)
    by_day: Counter[tuple[date, str]] = Counter()
    for moment, state, count in grouped.values_list("moment", "stands").annotate(Count("pk")):
        by_day[_day(moment), state] += count
    uses = grouped.values_list("of", "by", "stands").annotate(Count("pk"))
    return Counts(days, by_day, Counter({(of, by, state): count for of, by, state, count in uses}))


def _grouped(runs: QuerySet[Run], start: datetime) -> QuerySet[Run]:
    """The runs since then, with what they are counted by.

    That is expressions: by columns, SQLite would take an index in their order, and read each row beside it.
    """
    first = Run.objects.filter(queued_at__gte=start).aggregate(first=Min("pk"))["first"]
    since = GreaterThanOrEqual(Coalesce(F("queued_at"), F("queued_at")), start)
    return runs.filter(since, pk__gte=first or 0).annotate(
        moment=Substr(Cast("queued_at", CharField()), 1, MINUTE if _has_odd_hours(start) else HOUR),
        of=_as_text("runbook"),
        by=_as_text("actor"),
        stands=_as_text("state"),
    )


def _as_text(column: str) -> Coalesce:
    return Coalesce(F(column), Value(""))


def _has_odd_hours(start: datetime) -> bool:
    """Whether days begin here in the middle of an hour of UTC, as in India."""
    return bool(start.utcoffset() % timedelta(hours=1))


def _day(moment: str) -> date:
    """The viewer's day of a time in UTC, as the database writes it."""
    return timezone.localdate(
        datetime.fromisoformat(moment if len(moment) > HOUR else f"{moment}:00").replace(tzinfo=UTC)
    )
