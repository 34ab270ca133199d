"""The page of usage: how many runs there were, what fails, what is slow, what is used most and by whom."""

from collections.abc import Iterator, Mapping
from datetime import date
from urllib.parse import urlencode

from django.core.exceptions import BadRequest
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from runbooks import library
from runbooks.access.identify import signed_in
from runbooks.models import Run, State
from runbooks.templatetags.show import duration
from runbooks.typical import typical_seconds
from runbooks.web.charts import Bar, bars, ranking
from runbooks.web.usage_counts import Counts, counts

PERIODS = (7, 30, 90)  # days
FAILURES = (State.FAILED, State.TIMED_OUT, State.LOST)
MOST = 10  # rows of a ranking
ASKED = 30  # runbooks of which it is asked how long they take: of each, the newest runs are looked at


@require_safe
@signed_in
def usage(request: HttpRequest) -> HttpResponse:
    days = _period(request.GET.get("days", "30"))
    found = counts(request.actor, days=days)
    since = {"since": found.days[0].isoformat()}
    context = {
        "periods": [(choice, choice == days) for choice in PERIODS],
        "days": days,
        "facts": list(_facts(found, since)),
        "charts": _charts(found, since, library.visible_runs(request.actor)) if found.by_use else {},
    }
    return render(request, "usage.html", context)


def _period(asked: str) -> int:
    chosen = next((days for days in PERIODS if str(days) == asked), None)
    if chosen is None:
        raise BadRequest(f"days: it must be one of {', '.join(map(str, PERIODS))}.")
    return chosen


def _facts(found: Counts, since: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Each number of the head: what it is called, the number, and where the runs are that it counts."""
    states = found.states
    ended = sum(states[state] for state in (State.SUCCEEDED, *FAILURES))
    yield "Runs", f"{states.total():,}", _runs(since)
    if ended:
        yield "Succeeded", f"{states[State.SUCCEEDED] / ended:.0%}", _runs(since, state=[State.SUCCEEDED])
    yield "Failed", f"{sum(states[state] for state in FAILURES):,}", _runs(since, state=FAILURES)
    yield "Runbooks", f"{len(found.by_runbook):,}", ""
    yield "People", f"{len(found.by_person):,}", ""


def _charts(found: Counts, since: Mapping[str, str], visible: QuerySet[Run]) -> dict[str, str]:
    runbooks, people = found.by_runbook, found.by_person
    used = [_bar(_named(path), states, _runs(since, runbook=path)) for path, states in _most(runbooks)[:MOST]]
    by = [_bar(person, states, _runs(since, person=person)) for person, states in _most(people)[:MOST]]
    failing, slow = list(_failing(runbooks, since)), list(_slow(runbooks, since, visible))
    return {
        "days": bars([_day(found, day) for day in found.days], id="runs-per-day"),
        "used": ranking(used, heads=("Runbook", "Runs"), words="{:,}".format),
        "by": ranking(by, heads=("Person", "Runs"), words="{:,}".format),
        "failing": ranking(failing, heads=("Runbook", "Failed"), words="{:.0%}".format) if failing else "",
        "slow": ranking(slow, heads=("Runbook", "Usually"), words=duration) if slow else "",
    }


def _day(found: Counts, day: date) -> Bar:
    parts = {state: found.by_day[day, state] for state in State}
    # A day without runs leads nowhere.
    href = _runs({"since": day.isoformat(), "until": day.isoformat()}) if any(parts.values()) else ""
    return Bar(f"{day:%a} {day.day} {day:%b}", parts, href)


def _failing(runbooks: Mapping[str, Mapping[str, int]], since: Mapping[str, str]) -> Iterator[Bar]:
    """The runbooks of which the largest share of runs has failed; what was cancelled says nothing of a runbook."""
    rates = {}
    for path, states in runbooks.items():
        failed = sum(states[state] for state in FAILURES)
        if failed:
            rates[path] = failed / (failed + states[State.SUCCEEDED]), failed
    for path, (rate, failed) in sorted(rates.items(), key=lambda row: row[1], reverse=True)[:MOST]:
        yield Bar(f"{_named(path)} ({failed:,})", {State.FAILED: rate}, _runs(since, runbook=path, state=FAILURES))


def _slow(runbooks: Mapping[str, Mapping[str, int]], since: Mapping[str, str], visible: QuerySet[Run]) -> Iterator[Bar]:
    """Of the runbooks that are used most, those that take longest."""
    times = {path: typical_seconds(visible, path) for path, _ in _most(runbooks)[:ASKED]}
    known = {path: seconds for path, seconds in times.items() if seconds is not None}
    for path, seconds in sorted(known.items(), key=lambda row: row[1], reverse=True)[:MOST]:
        yield Bar(_named(path), {"": seconds}, _runs(since, runbook=path))


def _most(counted: Mapping[str, Mapping[str, int]]) -> list[tuple[str, Mapping[str, int]]]:
    return sorted(counted.items(), key=lambda row: (-sum(row[1].values()), row[0]))


def _bar(label: str, states: Mapping[str, int], href: str) -> Bar:
    return Bar(label, {state: states[state] for state in State if states[state]}, href)


def _named(path: str) -> str:
    """The runbook with its folder: in another, there may be one of the same name."""
    return path.removesuffix(".md")


def _runs(since: Mapping[str, str], **narrowed: object) -> str:
    return f"{reverse('runs')}?{urlencode({**since, **narrowed}, doseq=True)}"
