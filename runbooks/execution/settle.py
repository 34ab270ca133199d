"""Records how a run ended: in its row, in the runbook's History, and in what is kept of its working folder."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import Exists

from runbooks.document import history
from runbooks.execution import lost, workspace
from runbooks.execution.folder import Result
from runbooks.execution.outcomes import tell
from runbooks.execution.outputs import keep_outputs, remove_drafts
from runbooks.models import Run, State
from runbooks.output.entries import excerpt
from runbooks.output.watch import ring

REFUSALS_APART = timedelta(minutes=1)
logger = logging.getLogger(__name__)


def settle(run: Run, result: Result | None) -> None:
    """Record the end of a run; without a result it is lost: nobody can know.

    History comes first, and knows an entry that it has: should this process die in between, the next runner does all
    of it again and nothing is there twice.
    """
    result = result or lost.ending(run)
    ended_at = datetime.fromtimestamp(result.ended_at, UTC)
    if run.started_at:
        ended_at = max(ended_at, run.started_at)  # a clock may have been set back
    warnings = [*run.warnings, *result.warnings]
    warnings += _guarded(keep_outputs, run)
    warnings += _guarded(_append_outcome, run, result.state, result.return_code, ended_at)
    won = run.move(
        State.RUNNING,
        state=result.state,
        return_code=result.return_code,
        ended_at=ended_at,
        killed=result.killed,
        warnings=warnings,
        sealed_values=None,
    )
    if won:
        ring(run.folder)  # first: somebody may wait for it
        tell(run)
        workspace.remove(run)
        remove_drafts(run)


def settle_refused(run: Run, reason: str, *, is_readable: bool) -> None:
    """Tell of an attempt that was refused; in the History at most once a minute for each actor and runbook.

    A file that is not readable may be too large, too: it gets no entry.
    """
    if settings.HISTORY_ENTRIES and is_readable and _takes_the_minute(run):
        entry = entry_of(run, State.REFUSED, run.return_code, run.ended_at, stderr=reason)
        warnings = _guarded(_append_to_history, run, entry)
        if warnings:
            run.move(State.REFUSED, warnings=warnings, is_in_history=False)
    tell(run)


def _takes_the_minute(run: Run) -> bool:
    """One conditional update, before the History is written: of many attempts at the same moment one is told of."""
    told = Run.objects.filter(
        runbook=run.runbook,
        actor=run.actor,
        state=State.REFUSED,
        is_in_history=True,
        ended_at__gt=run.ended_at - REFUSALS_APART,
    )
    return Run.objects.filter(~Exists(told), pk=run.pk).update(is_in_history=True) == 1


def _guarded(step: Callable[..., list[str]], run: Run, *args: object) -> list[str]:
    """The step's warnings; whatever goes wrong in it, the run is settled, or it would stay running for ever."""
    try:
        return step(run, *args)
    except Exception as problem:
        logger.exception("Trouble while run %s was settled", run.pk, extra={"run_id": run.pk})
        return [f"Not all of the run's end could be recorded: {type(problem).__name__}."]


def _append_outcome(run: Run, state: State, return_code: int | None, ended_at: datetime) -> list[str]:
    return _append_to_history(run, entry_of(run, state, return_code, ended_at, **excerpts(run)))


def excerpts(run: Run) -> dict[str, str]:
    """What the History shows of each stream of a run."""
    return {stream: excerpt(run.log, stream) for stream in ("stdout", "stderr")}


def entry_of(
    run: Run, state: State, return_code: int | None, ended_at: datetime, *, stdout: str = "", stderr: str = ""
) -> history.Entry:
    """What the History tells of a run that ended like this."""
    return history.Entry(run.pk, ended_at, state.label, return_code, run.actor, stdout, stderr)


def _append_to_history(run: Run, entry: history.Entry) -> list[str]:
    file = _file(run)
    if not settings.HISTORY_ENTRIES or file is None:
        return []
    try:
        history.append(file, entry, keep=settings.HISTORY_ENTRIES)
    except history.CannotWrite as problem:
        return [f"History was not written: {problem}"]
    return []


def _file(run: Run) -> Path | None:
    """The runbook's file, if it is still there and below RUNBOOKS_DIR."""
    root = settings.RUNBOOKS_DIR.resolve()
    try:
        file = (root / run.runbook).resolve(strict=True)
    except (OSError, RuntimeError):  # before Python 3.13, a loop of links is the latter
        return None
    return file if file.is_relative_to(root) and file.is_file() else None
