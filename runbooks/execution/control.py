"""The one door to execution, for pages and programs alike: start a run, end a run, keep a run."""

import contextlib
import logging
from collections.abc import Mapping, Sequence
from functools import partial

from asgiref.sync import async_to_sync
from channels.exceptions import ChannelFull
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import DatabaseError, transaction
from django.utils import timezone

from runbooks.access import rules
from runbooks.access.actor import Actor
from runbooks.document.parse import without_history
from runbooks.document.validate import InvalidValues, checked_values, stray_warnings, strays
from runbooks.execution import ancestry, folder, idempotency, sealing, uploads
from runbooks.execution.ancestry import Recursion as Recursion
from runbooks.execution.environment import provided_values
from runbooks.execution.idempotency import BadKey as BadKey  # for those who start runs, as the exceptions below
from runbooks.execution.idempotency import KeyReused as KeyReused
from runbooks.execution.launch import GRACE as GRACE  # for those who show how a run is being ended
from runbooks.execution.outcomes import tell
from runbooks.execution.queue import waits_for as waits_for  # for those who show runs
from runbooks.execution.revision import revision_of
from runbooks.execution.settle import settle_refused
from runbooks.execution.uploads import Upload as Upload
from runbooks.library import LibraryRunbook
from runbooks.models import Run, State, runs_folder
from runbooks.output.watch import ring
from runbookweb import correlation, database, drain, metrics

RUNNER = "runner"  # the channel that runners listen on
SHOWN = sealing.SHOWN  # what a run's values have in the place of a secret
LARGEST_FILES = uploads.LARGEST
LONGEST_REASON = 500
LONGEST_ADDRESS = Run._meta.get_field("address").max_length
logger = logging.getLogger(__name__)


class CannotRun(Exception):
    """The runbook has errors, or the disk is full; str() says what, for people."""


class NoRoom(CannotRun):
    """The disk or the database cannot take the run, which is no fault of the runbook: later they may."""


class NotConfirmed(Exception):
    """The runbook wants to be confirmed before it runs, and was not."""


class Draining(Exception):
    """This server is about to end, and starts no run any more."""


def start_run(
    actor: Actor,
    runbook: LibraryRunbook,
    *,
    values: Mapping[str, str],
    files: Mapping[str, Upload] = {},
    is_confirmed: bool = False,
    reason: str = "",
    address: str = "",
    parent: int | None = None,
    stack: Sequence[str] = (),
    key: str = "",
) -> Run:
    """Queue a run of this runbook; with a key that has started one already, this is that one.

    The reason, and the network address from which it is asked for, are recorded with it. Raises rules.Refused (recorded
    as a refused run), Recursion, NotConfirmed, CannotRun, Draining, BadKey, KeyReused or
    document.validate.InvalidValues.
    """
    if drain.is_draining():
        raise Draining(drain.SENTENCE)
    _check_claims(actor, runbook, parent=parent)
    _check_ancestry(runbook, parent=parent, stack=stack)
    uploaded = _uploaded(runbook, values, files)
    values = _told(values, uploaded)
    start = idempotency.start_of(actor.id, key, runbook=runbook.path, values=values, is_confirmed=is_confirmed)
    if earlier := start.earlier_run():
        return _worth_waiting_for(earlier, parent=parent)
    if runbook.runbook.settings.confirm and not is_confirmed:
        raise NotConfirmed
    if runbook.errors:
        raise CannotRun("This runbook cannot run: " + "; ".join(str(problem) for problem in runbook.errors))
    wanted = runbook.runbook.settings
    fields = {"timeout": wanted.timeout or settings.SCRIPT_TIMEOUT_SECONDS, "concurrency": wanted.concurrency}
    fields |= {
        "source": without_history(runbook.source),
        "reason": one_line(reason),
        "address": address[:LONGEST_ADDRESS],
    }
    return _record(actor, runbook, start, uploaded, parent_id=parent, **fields, **_given(runbook, values))


def one_line(reason: str) -> str:
    """A reason as it is recorded."""
    return " ".join("".join(char if char.isprintable() else " " for char in reason).split())[:LONGEST_REASON]


def misfits(runbook: LibraryRunbook, values: Mapping[str, str], files: Mapping[str, Upload] = {}) -> dict[str, str]:
    """What a start with these values would refuse, by variable; nothing is started."""
    of_files: dict[str, str] = {}
    try:
        values = _told(values, uploads.taken(runbook.runbook, values, files))
    except InvalidValues as invalid:
        of_files = invalid.errors
    try:
        sent = {**values, **dict.fromkeys(files, "a file"), **of_files}
        checked_values(runbook.runbook, sent, provided=provided_values())
    except InvalidValues as invalid:
        return {**invalid.errors, **of_files}
    return of_files


def _uploaded(runbook: LibraryRunbook, values: Mapping[str, str], files: Mapping[str, Upload]) -> Mapping[str, Upload]:
    try:
        return uploads.taken(runbook.runbook, values, files)
    except InvalidValues:
        # With what is wrong with the values, or that would be said only when the files are put right.
        raise InvalidValues(misfits(runbook, values, files)) from None


def _told(values: Mapping[str, str], uploaded: Mapping[str, Upload]) -> dict[str, str]:
    """The values as they are checked and recorded: of a file what it is, and not what is in it."""
    return {**values, **{name: str(upload) for name, upload in uploaded.items()}}


def cancel_run(actor: Actor, run: Run) -> None:
    """End a run and those below it, whether they wait or go on; one that has ended stays as it is."""
    if _ask_to_end(actor, run):
        for below in ancestry.descendants(run):
            _ask_to_end(actor, below)


def pin_run(run: Run, *, is_pinned: bool) -> None:
    """Keep a run, however old it gets, or let it go with the others."""
    Run.objects.filter(pk=run.pk).update(is_pinned=is_pinned)


def _ask_to_end(actor: Actor, run: Run) -> bool:
    """Ask one run to end; False means that it has ended, or never began, and that no others need to be asked."""
    asked = {"cancelled_at": timezone.now(), "cancelled_by": actor.id}
    if run.move(State.QUEUED, state=State.CANCELLED, ended_at=timezone.now(), sealed_values=None, **asked):
        uploads.forget(run)
        tell(run)
        ring(run.folder)
    elif Run.objects.filter(pk=run.pk, state=State.RUNNING, cancelled_at=None).update(**asked):
        ring(run.folder)
        ring_runner()
    return Run.objects.filter(pk=run.pk, state=State.RUNNING).exists()


def ring_runner() -> None:
    """Tell the runner to look at the table; if it does not hear it, it looks by itself a little later."""
    if metrics.runner.age is None:
        ring(runs_folder())  # it is in another process
        return
    with contextlib.suppress(ChannelFull):
        async_to_sync(get_channel_layer().send)(RUNNER, {"type": "look.again"})


def _check_claims(actor: Actor, runbook: LibraryRunbook, *, parent: int | None) -> None:
    if rules.sees_runs(actor, runbook.runbook):
        return
    ended = {"state": State.REFUSED, "return_code": 403, "ended_at": timezone.now()}
    refusal = rules.Refused(actor, runbook.runbook.claims)
    # Without the source, and without claims that nobody asked for: who may run nothing could fill the disk with them.
    asked = Actor(actor.id, {claim: actor.claims.get(claim, ()) for claim in runbook.runbook.claims})
    run = _record(asked, runbook, values={}, timeout=0, parent_id=parent, **ended)
    settle_refused(run, str(refusal), is_readable=bool(runbook.source))
    _tell_parent(parent, runbook, refusal)
    raise refusal


def _check_ancestry(runbook: LibraryRunbook, *, parent: int | None, stack: Sequence[str]) -> None:
    try:
        ancestry.check(runbook.path, parent=parent, stack=stack)
    except Recursion as refusal:
        _tell_parent(parent, runbook, refusal)
        raise


def _tell_parent(parent: int | None, runbook: LibraryRunbook, refusal: Exception) -> None:
    """Put the reason into the log of the run whose script asks: `curl -s -o` and the like would hide it."""
    if parent is not None:
        folder.note(Run(pk=parent), f"refused: {runbook.path}: {refusal}")


def _worth_waiting_for(earlier: Run, *, parent: int | None) -> Run:
    """The run that a key has started already; raises CannotRun if it waits for the place of the run that asks."""
    if parent not in (None, earlier.parent_id) and earlier.state == State.QUEUED:
        raise CannotRun(
            f"This key has started run #{earlier.pk} already, which waits for a place, and the run whose script asks "
            "holds one: ask again when it has begun, or send another Idempotency-Key."
        )
    return earlier


def _given(runbook: LibraryRunbook, values: Mapping[str, str]) -> dict[str, object]:
    """What a run's row keeps of these values: the secret ones sealed, and a warning of each that nobody asked for."""
    checked = checked_values(runbook.runbook, values, provided=provided_values())
    requirements = (*runbook.runbook.requirements, *strays(runbook.runbook, values))
    secret = {requirement.name for requirement in requirements if requirement.secret}
    hidden = {name: value for name, value in checked.items() if name in secret}
    return {
        "values": {name: sealing.SHOWN if name in secret else value for name, value in checked.items()},
        "sealed_values": sealing.seal(hidden) if hidden else None,
        "warnings": stray_warnings(runbook.runbook, values),
    }


def _record(
    actor: Actor,
    runbook: LibraryRunbook,
    start: idempotency.Start | None = None,
    uploaded: Mapping[str, Upload] = {},
    **fields: object,
) -> Run:
    claims = {claim: list(values) for claim, values in actor.claims.items()}
    fields |= {"runbook": runbook.path, "actor": actor.id, "claims": claims, "correlation_id": correlation.current()}
    revision = revision_of(runbook)
    fields |= {"revision": revision.commit, "is_dirty": revision.is_dirty}
    try:
        with transaction.atomic():
            ancestry.lock_parent(fields["parent_id"])
            run = Run.objects.create(**fields)
            if start and (first := start.first_run(run)) != run:
                transaction.set_rollback(True)
                return _worth_waiting_for(first, parent=run.parent_id)
            if run.is_active:
                # Made before anybody can know of the run, so that readers can wait in it for the first line.
                folder.prepare(run.folder)
                uploads.keep(run.folder, uploaded)
    except ancestry.ParentEnded as problem:
        raise CannotRun(str(problem)) from None
    except OSError as problem:
        logger.error("A run could not be recorded: %s", problem)
        raise NoRoom(f"The run could not be recorded in {problem.filename}: {problem.strerror}.") from None
    except DatabaseError as problem:
        if not database.is_undone(problem):
            raise
        logger.error("A run could not be recorded: %s", problem)
        raise NoRoom(database.trouble(problem)) from None
    if run.is_active:
        transaction.on_commit(ring_runner)
    if run.parent_id:
        transaction.on_commit(partial(ring, Run(pk=run.parent_id).folder))  # its page shows what it has begun
    return run
