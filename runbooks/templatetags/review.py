"""The bar of dates above the review of runs: years, then months, then days."""

from calendar import monthrange
from collections.abc import Iterator
from datetime import date
from typing import Any

from django import template
from django.contrib.admin.views.main import ChangeList
from django.utils import timezone

from runbooks.models import Run

register = template.Library()
PARTS = ("queued_at__year", "queued_at__month", "queued_at__day")
Period = tuple[int, ...]  # a year, a month of one, or a day of one; or all dates, of which it says nothing


@register.inclusion_tag("admin/date_hierarchy.html")
def dates_of_runs(changes: ChangeList) -> dict[str, Any]:
    """What Django's own bar shows, but for all dates from the first run to the last, whether or not something ran.

    Django looks for those on which something ran, and takes each run's time apart in Python: of 100,000 for a second.
    """
    # Two questions: to one for both ends, SQLite reads the whole index.
    moments = [
        Run.objects.order_by(end).values_list("queued_at", flat=True).first() for end in ("queued_at", "-queued_at")
    ]
    if None in moments:
        return {"show": False}
    first, last = (_day(timezone.localdate(moment)) for moment in moments)
    chosen = tuple(int(changes.params[part]) for part in PARTS if part in changes.params)
    parts = len(chosen) + 1
    inside = [period for period in _below(chosen, first, last) if first[:parts] <= period <= last[:parts]]
    return {
        "show": True,
        "back": _link(changes, chosen[:-1]) if chosen else None,
        "choices": [_link(changes, period) for period in inside] or [{"title": _title(chosen)}],
    }


def _below(chosen: Period, first: Period, last: Period) -> Iterator[Period]:
    """The parts of a period."""
    numbers = (range(first[0], last[0] + 1), range(1, 13), range(0))[min(len(chosen), 2)]
    if len(chosen) == 2:
        numbers = range(1, monthrange(*chosen)[1] + 1)
    for number in numbers:
        yield (*chosen, number)


def _link(changes: ChangeList, period: Period) -> dict[str, str]:
    wanted = dict(zip(PARTS, period, strict=False))
    return {"link": changes.get_query_string(wanted, ["queued_at__"]), "title": _title(period)}


def _title(period: Period) -> str:
    if len(period) < 2:
        return str(period[0]) if period else "All dates"
    form = "{:%B %Y}" if len(period) == 2 else "{:%-d %B %Y}"
    return form.format(date(*period, *(1,) * (3 - len(period))))


def _day(day: date) -> Period:
    return day.year, day.month, day.day
