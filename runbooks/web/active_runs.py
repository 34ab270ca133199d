"""The runs that go on or wait: what stands above the list, and keeps itself fresh."""

import hashlib
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from runbooks import library
from runbooks.access.identify import signed_in
from runbooks.execution import control
from runbooks.models import ACTIVE, Run, State
from runbooks.typical import Usual, usual_of

SHOWN = 12
COUNTED = 1000  # nobody reads how many more there are than that


@dataclass(frozen=True)
class Active:
    """A run that goes on or waits, why it waits, and how long its runbook's runs usually take."""

    run: Run
    waits_for: str
    usual: Usual | None

    @property
    def waited(self) -> float:
        """The seconds since it was asked for."""
        return max(0.0, (timezone.now() - self.run.queued_at).total_seconds())


@require_safe
@signed_in
def active(request: HttpRequest) -> HttpResponse:
    """The block as it is now; nothing, if that is what the page shows already."""
    visible = library.visible_runs(request.actor)
    found = _runs(visible)
    if request.GET.get("seen") == _seen(found):
        return HttpResponse(status=204)
    answer = render(request, "runs/_active.html", _context(visible, found))
    if request.htmx:
        answer.headers["HX-Trigger"] = "runs-changed"  # what has ended stands in the list below
    return answer


def context(visible: QuerySet[Run]) -> dict[str, Any]:
    """What the block shows of the runs that somebody may see when the page opens."""
    return _context(visible, _runs(visible))


def _runs(visible: QuerySet[Run]) -> list[tuple[Run, str]]:
    """The newest that go on or wait, the waiting ones last, and why they wait."""
    found = library.without_bulk(visible.filter(state__in=ACTIVE))[:SHOWN]
    return sorted(((run, control.waits_for(run)) for run in found), key=lambda pair: pair[0].state == State.QUEUED)


def _context(visible: QuerySet[Run], found: list[tuple[Run, str]]) -> dict[str, Any]:
    usual = {path: usual_of(visible, path) for path in {run.runbook for run, _ in found}}
    return {
        "active": [Active(run, waits_for, usual[run.runbook]) for run, waits_for in found],
        "more_active": _more(visible) if len(found) == SHOWN else 0,
        "seen": _seen(found),
    }


def _more(visible: QuerySet[Run]) -> int:
    beyond = visible.filter(state__in=ACTIVE).values("pk")[SHOWN : SHOWN + COUNTED]
    return beyond.count()


def _seen(found: list[tuple[Run, str]]) -> str:
    """Another answer means that there is something else to show: time alone is counted by the page itself."""
    shown = [(run.pk, run.state, run.started_at, run.cancelled_at, waits_for) for run, waits_for in found]
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]
