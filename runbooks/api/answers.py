"""A run as programs get it: the names and shapes of the answers."""

from typing import Any

from django.utils import timezone

from runbooks.models import Run, State

SENTENCES = {
    State.TIMED_OUT: "The run was ended after {timeout} s, its timeout.",
    State.CANCELLED: "The run was cancelled by {cancelled_by}.",
    State.LOST: "How the run ended is not known: the machine or its supervisor died.",
    State.REFUSED: "{actor} has not the claims that this runbook requires.",
}


def run_json(run: Run) -> dict[str, Any]:
    """A run without its output; `success` says that its script has ended well."""
    return {
        "success": run.state == State.SUCCEEDED,
        "run_id": run.pk,
        "runbook": run.runbook,
        "status": str(run.state),
        "return_code": run.return_code,
        "errors": _errors(run),
        "warnings": list(run.warnings),
        "viewer_link": run.get_absolute_url(),
        "actor": run.actor,
        "queued_at": _time(run.queued_at),
        "started_at": _time(run.started_at),
        "ended_at": _time(run.ended_at),
        "cancelled_by": run.cancelled_by or None,
        "parent": run.parent_id,
    }


def _errors(run: Run) -> list[str]:
    if run.is_active or run.state == State.SUCCEEDED:
        return []
    sentence = SENTENCES.get(State(run.state), "The script ended with the return code {return_code}.")
    return [sentence.format_map(vars(run))]


def _time(moment: timezone.datetime | None) -> str | None:
    return moment.isoformat() if moment else None
