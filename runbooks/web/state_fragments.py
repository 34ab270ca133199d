"""How a run stands, as a person sees it: the head of its page, and the pieces of HTML that keep it live."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.template.loader import render_to_string
from django.utils import timezone

from runbooks import library
from runbooks.access import rules
from runbooks.access.actor import Actor
from runbooks.execution import control
from runbooks.library import LibraryRunbook
from runbooks.models import Run, State
from runbooks.typical import usual_of
from runbooks.web.difference import file_today, today
from runbooks.web.outputs import outputs_context
from runbooks.web.swap import replacement

SUB_RUNS = 20  # how many of them a page shows


@dataclass(frozen=True, slots=True)
class Ending:
    """How far a script is with its end, that somebody has asked for."""

    seconds: float
    grace: int

    @property
    def left(self) -> float:
        return max(0.0, self.grace - self.seconds)


@dataclass(frozen=True, slots=True)
class Lack:
    """A claim that somebody has not got in any of the values that are accepted."""

    claim: str
    accepted: str
    had: str


def state_html(actor: Actor, run: Run) -> str:
    """The run's state as it is now, and the files that it has kept at its end, to replace what the page shows."""
    html = replacement("run-state", render_to_string("runs/_state.html", state_context(actor, run)), swap="outerMorph")
    if run.is_active:
        return html
    kept = render_to_string("runs/_outputs.html", {"run": run, **outputs_context(run)})
    return html + replacement("kept-files", kept)


def state_context(actor: Actor, run: Run) -> dict[str, Any]:
    """The run, what is known of it, and of what is around it as much as this actor may see."""
    file = file_today(actor, run)
    seen = library.without_bulk(library.visible_runs(actor))
    return {
        "run": run,
        "waits_for": control.waits_for(run),
        "waited": _waited(run),
        "ending": _ending(run),
        "usual": usual_of(seen, run.runbook) if run.started_at else None,
        "today": today(run, file).value,
        "lacks": _lacks(run, file),
        "earlier": _earlier(run, seen),
        **_relatives(run, seen),
    }


def _relatives(run: Run, seen: QuerySet[Run]) -> dict[str, Any]:
    """The run's parent, and the newest of its sub-runs."""
    around = Q(pk=run.parent_id) | Q(parent=run.pk)
    if not Run.objects.filter(around).exists():
        return {}
    below = seen.filter(parent=run.pk)
    return {
        "parent": seen.filter(pk=run.parent_id).first(),
        "sub_runs": list(below[:SUB_RUNS])[::-1],
        "more_sub_runs": max(0, below.count() - SUB_RUNS),
    }


def _earlier(run: Run, seen: QuerySet[Run]) -> Run | None:
    """The run before this one of the same runbook, to compare them, if both have begun and ended."""
    before = seen.filter(runbook=run.runbook, pk__lt=run.pk, started_at__isnull=False, ended_at__isnull=False)
    return before.first() if run.started_at and run.ended_at else None


def _waited(run: Run) -> float | None:
    """The seconds since a queued run was asked for."""
    return _since(run.queued_at) if run.state == State.QUEUED else None


def _ending(run: Run) -> Ending | None:
    if run.state != State.RUNNING or run.cancelled_at is None:
        return None
    return Ending(_since(run.cancelled_at), control.GRACE)


def _lacks(run: Run, file: LibraryRunbook | None) -> list[Lack]:
    """What a refused run lacks today; what its runbook asked for then is not kept."""
    if run.state != State.REFUSED or file is None:
        return []
    claims = {name: tuple(values) for name, values in run.claims.items()}
    missing = rules.missing_claims(Actor(run.actor, claims), file.runbook.claims)
    return [Lack(name, ", ".join(accepted), ", ".join(claims.get(name, ()))) for name, accepted in missing.items()]


def _since(when: datetime) -> float:
    return max(0.0, (timezone.now() - when).total_seconds())


def news(run: Run) -> tuple[tuple[object, ...], str]:
    """How the run and its sub-runs stand, and why it waits: another answer means that there is more to show."""
    if run.state == State.QUEUED:
        return (run.state, run.cancelled_at), control.waits_for(run)  # nothing has begun a sub-run yet
    return (run.state, run.cancelled_at, sub_run_states(run)), ""


def waiting_html(sentence: str) -> str:
    """Why the run waits now: it changes for all that wait whenever one of them begins, and asks nothing."""
    html = render_to_string("runs/_waiting.html", {"waits_for": sentence})
    return replacement("run-waiting", html)


def sub_run_states(run: Run) -> dict[str, int]:
    """How many sub-runs stand where: another answer means that there is something new to show."""
    counted = Run.objects.filter(parent=run.pk).order_by().values_list("state")
    return dict(counted.annotate(Count("pk")))
