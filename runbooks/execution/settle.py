"""Records how a run ended: in its row, in the runbook's History, and in what is kept of its working folder."""

import contextlib
import errno
import logging
import shutil
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from django.conf import settings
from django.utils import timezone

from runbooks.document import history
from runbooks.document.parse import parse
from runbooks.execution.launch import Result, complaint
from runbooks.models import Run, State
from runbooks.output.entries import excerpt
from runbooks.output.watch import ring
from runbookweb import metrics

logger = logging.getLogger(__name__)
outcomes = logging.getLogger("runbooks.runs")


def settle(run: Run, result: Result | None) -> None:
    """Record the end of a run; without a result it is lost: nobody can know.

    History comes first, and knows an entry that it has: should this process die in between, the next runner does all
    of it again and nothing is there twice.
    """
    state = result.state if result else State.LOST
    ended_at = datetime.fromtimestamp(result.ended_at, UTC) if result else timezone.now()
    return_code = result.return_code if result else None
    warnings = [*run.warnings, *(result.warnings if result else _last_words(run))]
    warnings += _guarded(_keep_outputs, run) + _guarded(_append_to_history, run, state, return_code, ended_at)
    won = run.move(
        State.RUNNING,
        state=state,
        return_code=return_code,
        ended_at=max(ended_at, run.started_at or ended_at),
        killed=result.killed if result else 0,
        warnings=warnings,
        sealed_values=None,
    )
    if won:
        tell(run)
        ring(run.folder)
        shutil.rmtree(run.work, ignore_errors=True)


def tell(run: Run) -> None:
    """Put the outcome into the log and the metrics."""
    seconds = round(run.seconds or 0, 3)
    names = ("runbook", "actor", "state", "return_code")
    facts = {"run_id": run.pk, "seconds": seconds} | {name: getattr(run, name) for name in names}
    outcomes.info("%s: %s after %s s", run, State(run.state).label, seconds, extra=facts)
    metrics.RUN_SECONDS.labels(run.state).observe(seconds)
    with contextlib.suppress(OSError):  # somebody has deleted its folder
        metrics.LOGGED_BYTES.inc(run.log.stat().st_size)


def _guarded(step: Callable[..., list[str]], run: Run, *args: object) -> list[str]:
    """The step's warnings; whatever goes wrong in it, the run is settled, or it would stay running for ever."""
    try:
        return step(run, *args)
    except Exception as problem:
        logger.exception("Trouble while run %s was settled", run.pk, extra={"run_id": run.pk})
        return [f"Not all of the run's end could be recorded: {type(problem).__name__}."]


def _last_words(run: Run) -> list[str]:
    words = complaint(run.folder)
    return [f"Its supervisor failed: {words}"] if words else []


def _append_to_history(run: Run, state: State, return_code: int | None, ended_at: datetime) -> list[str]:
    file = _file(run)
    if not settings.HISTORY_ENTRIES or file is None:
        return []
    entry = history.Entry(
        run=run.pk,
        ended_at=ended_at,
        state=state.label,
        return_code=return_code,
        actor=run.actor,
        stdout=excerpt(run.log, "stdout"),
        stderr=excerpt(run.log, "stderr"),
    )
    try:
        history.append(file, entry, keep=settings.HISTORY_ENTRIES)
    except history.CannotWrite as problem:
        return [f"History was not written: {problem}"]
    return []


def _file(run: Run) -> Path | None:
    """The runbook's file, if it is still there and below RUNBOOKS_DIR."""
    root = settings.RUNBOOKS_DIR.resolve()
    file = _inside(root / run.runbook, root)
    return file if file and file.is_file() else None


def _keep_outputs(run: Run) -> list[str]:
    """Move what the runbook wants kept out of the working folder, which goes."""
    warnings = []
    for output in parse(run.source.encode(), name=PurePosixPath(run.runbook).stem).outputs:
        source, target = run.work / output, run.folder / "outputs" / output
        if target.exists() or not run.work.exists():
            continue
        found = _inside(source, run.work.resolve())
        try:
            if found:
                _move(found, target)
        except (OSError, shutil.Error) as problem:
            trouble = f"could not be kept: {problem}"
        else:
            trouble = "" if found else "was not there at the end."
        if trouble and not target.exists():  # another runner may have been quicker
            warnings.append(f"Output {output[:100]} {trouble}")
    return warnings


def _move(source: Path, target: Path) -> None:
    """Move a file or folder; on another disk it is copied under a name of its own, and renamed when it is whole."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        source.rename(target)
    except OSError as problem:
        if problem.errno != errno.EXDEV:
            raise
        draft = target.with_name(f".draft-{uuid.uuid4().hex}")
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        copy(source, draft)  # the source goes with the working folder
        draft.rename(target)


def _inside(path: Path, folder: Path) -> Path | None:
    """The real path of what is there, unless a link leads out of the folder: to any file of the server's, that is."""
    try:
        found = path.resolve(strict=True)
    except (OSError, RuntimeError):  # before Python 3.13, a loop of links is the latter
        return None
    return found if found.is_relative_to(folder) else None
