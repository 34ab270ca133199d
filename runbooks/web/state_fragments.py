"""How a run stands, as a person sees it: the head of its page, and the pieces of HTML that keep it live."""

from typing import Any

from django.db.models import Count, Q
from django.template.loader import render_to_string

from runbooks import library
from runbooks.access.actor import Actor
from runbooks.execution import control
from runbooks.models import Run, State
from runbooks.web.swap import replacement

SUB_RUNS = 20  # how many of them a page shows


def state_html(actor: Actor, run: Run) -> str:
    """The run's state as it is now, to replace what the page shows."""
    return replacement("run-state", render_to_string("runs/_state.html", state_context(actor, run)), swap="outerMorph")


def state_context(actor: Actor, run: Run) -> dict[str, Any]:
    """The run, and of those around it what this actor may see: its parent, and the newest of its sub-runs."""
    around = Q(pk=run.parent_id) | Q(parent=run.pk)
    stands = {"run": run, "waits_for": control.waits_for(run)}
    if not Run.objects.filter(around).exists():
        return stands
    seen = library.without_bulk(library.visible_runs(actor))
    below = seen.filter(parent=run.pk)
    return stands | {
        "parent": seen.filter(pk=run.parent_id).first(),
        "sub_runs": list(below[:SUB_RUNS])[::-1],
        "more_sub_runs": max(0, below.count() - SUB_RUNS),
    }


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
