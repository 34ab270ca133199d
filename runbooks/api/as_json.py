"""A run as programs get it: the names and shapes of the answers."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from runbooks.execution import control
from runbooks.models import Run, State
from runbooks.output.encode import json_bytes
from runbooks.output.entries import STREAMS
from runbooks.output.text import text_of

SENTENCES = {
    State.TIMED_OUT: "The run was ended after {timeout} s, its timeout.",
    State.CANCELLED: "The run was cancelled by {cancelled_by}.",
    State.LOST: "How the run ended is not known: the machine or its supervisor died.",
    State.REFUSED: "{actor} has not the claims that this runbook requires.",
}


def run_json(run: Run) -> dict[str, Any]:
    """A run without its output; `success` says that its script has ended well. Of a queued run it asks the database."""
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
        "is_pinned": run.is_pinned,
        "waiting_for": control.waits_for(run) or None,
    }


def _errors(run: Run) -> list[str]:
    if run.is_active or run.state == State.SUCCEEDED:
        return []
    if never := [warning for warning in run.warnings if warning.startswith("could not start: ")]:
        return never
    sentence = SENTENCES.get(State(run.state), "The script ended with the return code {return_code}.")
    return [sentence.format_map(vars(run))]


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def with_output(run: Run, stands: dict[str, Any], *, after: int, end: int) -> Iterator[bytes]:
    """How a run stands, as JSON, with what it has printed between two offsets; nothing large is held in memory."""
    rest = stands | {"offset": end}
    head = {name: rest.pop(name) for name in ("success", "runbook", "return_code")}
    yield json_bytes(head)[:-1]
    for stream in STREAMS.values():
        yield b', "%b": "' % stream.encode()
        yield from (json_bytes(text)[1:-1] for text in text_of(run, stream, after=after, end=end))
        yield b'"'
    yield b", " + json_bytes(rest)[1:]
