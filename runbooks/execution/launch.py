"""Takes a queued run and starts its supervisor; what the supervisor tells of it then, and is told, is in folder.py."""

import atexit
import contextlib
import errno
import logging
import marshal
import os
import sys
import time
from functools import cache, partial
from pathlib import Path

from cryptography.fernet import InvalidToken
from django.conf import settings
from django.utils import timezone

from runbooks.document.runbook import Runbook
from runbooks.document.validate import BadInput, NoInterpreter, interpreter
from runbooks.execution import folder, sealing, uploads, workspace
from runbooks.execution.environment import environment, provided_secrets, run_token
from runbooks.execution.forkserver import ForkServer
from runbooks.execution.outcomes import tell
from runbooks.execution.recorded import runbook_of
from runbooks.execution.script_user import script_user
from runbooks.models import Run, State
from runbooks.output.entries import append_note
from runbooks.output.watch import ring

logger = logging.getLogger(__name__)

# Too many files are open, or there is no memory, or no process more: that says nothing about a run, and passes.
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN)
GRACE = 10  # seconds between SIGTERM and SIGKILL
SUPERVISOR = Path(__file__).with_name("supervisor")
# A virtual environment's python would look for its packages at each start.
PYTHON = os.path.realpath(sys._base_executable or sys.executable)


class NotStarted(Exception):
    """A script that never began: `result` is how its run ended, str() says why, for people."""

    def __init__(self, reason: str, state: State = State.FAILED):
        super().__init__(reason)
        self.result = folder.Result(state, None if state == State.CANCELLED else 127, time.time())


def take(run: Run) -> int | None:
    """Take a queued run; the descriptor of its lock, to start it with, or None if it was not there to take.

    The folder is locked first and the row taken then: who looks in between sees a run that lives.
    """
    try:
        if not run.folder.is_dir():
            folder.prepare(run.folder)  # somebody has deleted it
        lock = folder.lock(run.folder)
    except BlockingIOError:
        return None
    except OSError as problem:
        if problem.errno in EXHAUSTED:
            raise
        # Left in the queue, it would be the first of it for ever and keep the others from their turn.
        fail_in_the_queue(run, f"{problem.filename}: {problem.strerror}")
        return None
    try:
        if run.take() and not folder.has_started(run.folder):
            return lock
    except BaseException:
        os.close(lock)
        raise
    # Lost the race; or it has begun already, and a power cut took that from the database: its folder tells the rest.
    os.close(lock)
    return None


def start(run: Run, lock: int) -> int:
    """Start the supervisor of a taken run, which inherits its lock: there is no moment without it. Its process number.

    Raises NotStarted, with the reason in the log, or OSError if another time will do: nothing has started. The lock
    stays the caller's to close.
    """
    try:
        pid = _start_supervisor(run, lock)
        uploads.forget(run)
        return pid
    except NotStarted as problem:
        reason = problem
    except OSError as problem:
        if problem.errno in EXHAUSTED:
            raise
        reason = NotStarted(f"{problem.filename or 'the supervisor'}: {problem.strerror}")
    except Exception:
        # Without an end it would be taken and fail again for ever.
        logger.exception("Run %s could not be started", run.pk)
        reason = NotStarted("an error in Runbookweb itself; its log says more")
    uploads.forget(run)
    tell_why(run, reason)
    raise reason


def tell_why(run: Run, reason: NotStarted) -> None:
    """Put the reason into the log, which no supervisor writes."""
    with contextlib.suppress(OSError):
        append_note(run.log, f"could not start: {reason}")


def fail_in_the_queue(run: Run, reason: str) -> None:
    """End a run that waits and cannot be started, now or ever."""
    ended = {"ended_at": timezone.now(), "return_code": 127, "sealed_values": None}
    if run.move(State.QUEUED, state=State.FAILED, warnings=[f"could not start: {reason}"], **ended):
        uploads.forget(run)
        if run.parent_id:
            parent = Run(pk=run.parent_id)
            folder.note(parent, f"{run.runbook} #{run.pk} could not start: {reason}")
            ring(parent.folder)
        tell(run)
        ring(run.folder)  # last: a script that waits for this run goes on now, and may end at once


def _start_supervisor(run: Run, lock: int) -> int:
    runbook = runbook_of(run)
    user = script_user()
    argv = [*_interpreter(runbook), str(run.script)]
    secrets = _unsealed(run)
    token = run_token(run, grace=GRACE)
    try:
        files = workspace.make(run, runbook)
    except BadInput as problem:
        raise NotStarted(str(problem)) from None
    specification = marshal.dumps(
        {
            "argv": argv,
            "environment": environment(run, {**run.values, **secrets, **files}, token=token),
            "folder": str(run.work),
            "timeout": run.timeout,
            "grace": GRACE,
            "limit": settings.MAX_OUTPUT_SIZE_BYTES,
            "memory": settings.SCRIPT_MAX_MEMORY,
            "disk": settings.SCRIPT_MAX_DISK,
            "processes": settings.SCRIPT_MAX_PROCESSES,
            "user": (user.uid, user.gid, user.groups) if user else None,
            "outputs": runbook.outputs,
            "secrets": sealing.patterns([*secrets.values(), *provided_secrets(runbook), token]),
        }
    )
    (run.folder / "control").unlink(missing_ok=True)
    may_begin = partial(_may_begin, run)
    pid = forkserver().spawn(run.folder, lock=lock, specification=specification, may_begin=may_begin)
    if pid is None:
        raise NotStarted(f"cancelled by {run.cancelled_by}", State.CANCELLED)
    return pid


def _may_begin(run: Run) -> bool:
    run.refresh_from_db(fields=["cancelled_at", "cancelled_by"])
    return run.cancelled_at is None


@cache
def forkserver() -> ForkServer:
    """This process's own; the first run of all starts it, unless somebody does before."""
    server = ForkServer(PYTHON, "-I", "-S", str(SUPERVISOR))
    atexit.register(server.stop)
    return server


def _unsealed(run: Run) -> dict[str, str]:
    try:
        return sealing.unseal(run.sealed_values) if run.sealed_values else {}
    except InvalidToken:
        raise NotStarted("SECRET_KEY has changed since this run was queued, its secrets cannot be read") from None


def _interpreter(runbook: Runbook) -> list[str]:
    if runbook.script is None:
        raise NotStarted("the runbook has no script")
    try:
        return interpreter(runbook.script)
    except NoInterpreter as problem:
        raise NotStarted(str(problem)) from None
