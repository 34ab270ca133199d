"""The one door to execution, for pages and programs alike: start a run, end a run."""

import contextlib
from collections.abc import Mapping

from asgiref.sync import async_to_sync
from channels.exceptions import ChannelFull
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from runbooks.access import rules
from runbooks.access.actor import Actor
from runbooks.document.parse import without_history
from runbooks.document.validate import checked_values
from runbooks.execution import sealing
from runbooks.execution.environment import provided_values
from runbooks.execution.launch import prepare_folder
from runbooks.library import LibraryRunbook
from runbooks.models import Run, State
from runbooks.output.watch import ring

RUNNER = "runner"  # the channel that runners listen on


class CannotRun(Exception):
    """The runbook has errors, or the disk is full; str() says what, for people."""


class NotConfirmed(Exception):
    """The runbook wants to be confirmed before it runs, and was not."""


class Recursion(Exception):
    """A runbook would run within itself, or too deep in others; str() says which, for people."""


class KeyReused(Exception):
    """An idempotency key has started a run already, and something else is asked for with it now."""


class Draining(Exception):
    """This server is about to end, and starts no run any more."""


def start_run(actor: Actor, runbook: LibraryRunbook, *, values: Mapping[str, str], is_confirmed: bool = False) -> Run:
    """Queue a run of this runbook.

    Raises rules.Refused (recorded as a refused run), NotConfirmed, CannotRun, or document.validate.InvalidValues.
    """
    _check_claims(actor, runbook)
    if runbook.runbook.settings.confirm and not is_confirmed:
        raise NotConfirmed
    if runbook.errors:
        raise CannotRun("This runbook cannot run: " + "; ".join(str(problem) for problem in runbook.errors))
    checked = checked_values(runbook.runbook, values, provided=provided_values())
    secret = {requirement.name for requirement in runbook.runbook.requirements if requirement.secret}
    hidden = {name: value for name, value in checked.items() if name in secret}
    return _record(
        actor,
        runbook,
        values={name: sealing.SHOWN if name in secret else value for name, value in checked.items()},
        sealed_values=sealing.seal(hidden) if hidden else None,
        timeout=runbook.runbook.settings.timeout or settings.SCRIPT_TIMEOUT_SECONDS,
    )


def cancel_run(actor: Actor, run: Run) -> None:
    """End a run, whether it waits or goes on; one that has ended stays as it is."""
    asked = {"cancelled_at": timezone.now(), "cancelled_by": actor.id}
    if run.move(State.QUEUED, state=State.CANCELLED, ended_at=timezone.now(), sealed_values=None, **asked):
        ring(run.folder)
    elif Run.objects.filter(pk=run.pk, state=State.RUNNING, cancelled_at=None).update(**asked):
        ring(run.folder)
        ring_runner()


def ring_runner() -> None:
    """Tell the runner to look at the table; if it does not hear it, it looks by itself a little later."""
    with contextlib.suppress(ChannelFull):
        async_to_sync(get_channel_layer().send)(RUNNER, {"type": "look.again"})


def _check_claims(actor: Actor, runbook: LibraryRunbook) -> None:
    if rules.sees_runs(actor, runbook.runbook):
        return
    ended = {"state": State.REFUSED, "return_code": 403, "ended_at": timezone.now()}
    _record(actor, runbook, values={}, timeout=0, **ended)
    raise rules.Refused(actor, runbook.runbook.claims)


def _record(actor: Actor, runbook: LibraryRunbook, **fields: object) -> Run:
    claims = {claim: list(values) for claim, values in actor.claims.items()}
    source = without_history(runbook.source)
    try:
        with transaction.atomic():
            run = Run.objects.create(runbook=runbook.path, actor=actor.id, claims=claims, source=source, **fields)
            if run.is_active:
                # Made before anybody can know of the run, so that readers can wait in it for the first line.
                prepare_folder(run.folder)
    except OSError as problem:
        raise CannotRun(f"The run could not be recorded in {problem.filename}: {problem.strerror}.") from None
    if run.is_active:
        transaction.on_commit(ring_runner)
    return run
