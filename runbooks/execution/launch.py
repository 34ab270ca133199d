"""Starts the supervisor of a run that a runner has taken, and says whether it still lives.

A run's folder holds its log, the script, the lock that the supervisor keeps, the FIFO that cancels, and the result.
"""

import contextlib
import errno
import fcntl
import logging
import marshal
import os
import py_compile
import select
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from cryptography.fernet import InvalidToken
from django.conf import settings
from django.utils import timezone

from runbooks.document.parse import parse
from runbooks.document.runbook import Runbook
from runbooks.document.validate import BadInput, NoInterpreter, input_files, interpreter
from runbooks.execution import sealing
from runbooks.execution.environment import environment, provided_secrets, run_token
from runbooks.execution.outcomes import tell
from runbooks.models import Run, State
from runbooks.output.entries import NotRegular, append_note, open_regular

logger = logging.getLogger(__name__)

# Too many files are open, or there is no memory: that says nothing about a run, and passes.
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
NOT_THERE = (FileNotFoundError, NotADirectoryError, PermissionError, NotRegular)
GRACE = 10  # seconds between SIGTERM and SIGKILL
SUPERVISOR = Path(__file__).with_name("supervisor.py")
# A virtual environment's python would look for its packages at each start.
PYTHON = os.path.realpath(sys._base_executable or sys.executable)


ENDED = (State.SUCCEEDED, State.FAILED, State.TIMED_OUT, State.CANCELLED)


@dataclass(frozen=True)
class Result:
    """How a script ended, as its supervisor wrote it down."""

    state: State
    return_code: int | None
    ended_at: float
    killed: int = 0
    warnings: tuple[str, ...] = ()


class NotStarted(Exception):
    """A script that never began: `result` is how its run ended, str() says why, for people."""

    def __init__(self, reason: str, state: State = State.FAILED):
        super().__init__(reason)
        self.result = Result(state, None if state == State.CANCELLED else 127, time.time())


@cache
def compiled_supervisor() -> Path:
    """The supervisor as byte code: Python keeps none of what it is started with, and would compile it for every run."""
    try:
        return Path(py_compile.compile(str(SUPERVISOR), doraise=True))
    except OSError:
        return SUPERVISOR  # an installation that is read-only, and only slower


def prepare_folder(folder: Path) -> None:
    """Make the folder of a new run, with an empty log; raises OSError."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        # Left from a database that is no more: another run's log must not become the beginning of this one's.
        folder.rename(folder.with_name(f"{folder.name}.before-{time.time_ns()}"))
        folder.mkdir(mode=0o700)
    (folder / "log").touch(mode=0o600)


def take(run: Run) -> int | None:
    """Take a queued run; the descriptor of its lock, to start it with, or None if it was not there to take.

    The folder is locked first and the row taken then: who looks in between sees a run that lives.
    """
    try:
        if not run.folder.is_dir():
            prepare_folder(run.folder)  # somebody has deleted it
        lock = lock_of(run.folder)
    except BlockingIOError:
        return None
    except OSError as problem:
        if problem.errno in EXHAUSTED:
            raise
        # Left in the queue, it would be the first of it for ever and keep the others from their turn.
        _fail_in_the_queue(run, f"{problem.filename}: {problem.strerror}")
        return None
    try:
        if run.take() and not has_started(run.folder):
            return lock
    except BaseException:
        os.close(lock)
        raise
    # Lost the race; or it has begun already, and a power cut took that from the database: its folder tells the rest.
    os.close(lock)
    return None


def start(run: Run, lock: int) -> subprocess.Popen:
    """Start the supervisor of a taken run, which inherits its lock: there is no moment without it.

    Raises NotStarted, with the reason in the log. The lock stays the caller's to close.
    """
    try:
        return _start_supervisor(run, lock)
    except NotStarted as problem:
        reason = problem
    except OSError as problem:
        reason = NotStarted(f"{problem.filename or 'the supervisor'}: {problem.strerror}")
    except Exception:
        # Without an end it would be taken and fail again for ever.
        logger.exception("Run %s could not be started", run.pk)
        reason = NotStarted("an error in Runbookweb itself; its log says more")
    tell_why(run, reason)
    raise reason


def tell_why(run: Run, reason: NotStarted) -> None:
    """Put the reason into the log, which no supervisor writes."""
    with contextlib.suppress(OSError):
        append_note(run.log, f"could not start: {reason}")


def _fail_in_the_queue(run: Run, reason: str) -> None:
    ended = {"ended_at": timezone.now(), "return_code": 127, "sealed_values": None}
    if run.move(State.QUEUED, state=State.FAILED, warnings=[f"could not start: {reason}"], **ended):
        tell(run)


def complaint(folder: Path) -> str:
    """The last line of what a supervisor that failed said."""
    with contextlib.suppress(OSError):
        lines = (folder / "supervisor.err").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""
    return ""


def cancel(run: Run) -> None:
    """Tell the supervisor to end the script; one that has gone needs no telling."""
    _tell_supervisor(run, f"cancel {run.cancelled_by}")


def note(run: Run, text: str) -> None:
    """Have the supervisor put a line of ours into the log of a run that goes on."""
    _tell_supervisor(run, f"note {text}")


def _tell_supervisor(run: Run, request: str) -> None:
    line = "".join(character if character.isprintable() else " " for character in request)
    # A pipe takes so many bytes at once or not at all: half a request could join with another.
    line = line.encode(errors="replace")[: select.PIPE_BUF - 1].decode(errors="ignore")
    with contextlib.suppress(OSError):
        control = os.open(run.folder / "control", os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.write(control, f"{line}\n".encode())
        finally:
            os.close(control)


def is_alive(folder: Path) -> bool:
    """Whether a supervisor, or a runner about to start one, holds the run's lock."""
    try:
        lock = open_regular(folder / "lock")
    except NOT_THERE:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def has_started(folder: Path) -> bool:
    """Whether the script may have begun; what cannot be looked into may hold anything."""
    try:
        (folder / "started").lstat()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def read_result(folder: Path) -> Result | None:
    """How the script ended, once that is known."""
    try:
        with os.fdopen(open_regular(folder / "result"), "rb") as file:
            lines = file.read(65536).decode().splitlines()
    except (*NOT_THERE, ValueError):
        return None
    pairs = [line.partition(" ")[::2] for line in lines]
    found = dict(pairs)
    try:
        result = Result(
            state=State(found["state"]),
            return_code=int(found["return_code"]),
            ended_at=float(found["ended_at"]),
            killed=int(found["killed"]),
            warnings=tuple(value for name, value in pairs if name == "warning"),
        )
    except (KeyError, ValueError):
        return None
    # A script of the same user can write this file too: what the database cannot take is no result.
    is_sound = result.state in ENDED and 0 <= result.return_code < 1000 and 0 <= result.killed < 10**6
    return result if is_sound and 0 <= result.ended_at < 10**11 else None


def lock_of(folder: Path) -> int:
    """The run's lock, held until its descriptor is closed; raises BlockingIOError if somebody else has it."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise
    return lock


def _start_supervisor(run: Run, lock: int) -> subprocess.Popen:
    runbook = parse(run.source.encode(), name=PurePosixPath(run.runbook).stem)
    secrets = _unsealed(run)
    token = run_token(run, grace=GRACE)
    specification = marshal.dumps(
        {
            "argv": [*_interpreter(runbook), str(_script(run, runbook))],
            "environment": environment(run, {**run.values, **secrets}, token=token),
            "folder": str(_work(run, runbook)),
            "timeout": run.timeout,
            "grace": GRACE,
            "limit": settings.MAX_OUTPUT_SIZE_BYTES,
            "secrets": sealing.patterns([*secrets.values(), *provided_secrets(), token]),
        }
    )
    (run.folder / "control").unlink(missing_ok=True)
    run.refresh_from_db(fields=["cancelled_at", "cancelled_by"])
    if run.cancelled_at:
        raise NotStarted(f"cancelled by {run.cancelled_by}", State.CANCELLED)
    with (run.folder / "supervisor.err").open("wb") as complaints:
        supervisor = subprocess.Popen(
            [PYTHON, "-I", "-S", str(compiled_supervisor()), str(run.folder), str(lock)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
            env={},
            cwd="/",
            pass_fds=(lock,),
            start_new_session=True,
        )
    with contextlib.suppress(BrokenPipeError), supervisor.stdin as pipe:
        pipe.write(specification)
    return supervisor


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


def _script(run: Run, runbook: Runbook) -> Path:
    """The script as a file of this run's own: interpreters read it while it runs."""
    script = run.folder / "script"
    script.touch(mode=0o600)
    script.write_text(runbook.script.text, encoding="utf-8", newline="")
    return script


def _work(run: Run, runbook: Runbook) -> Path:
    """The working folder, with copies of the input files at their relative paths."""
    run.work.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.rmtree(run.work, ignore_errors=True)
    run.work.mkdir(mode=0o700)
    root = settings.RUNBOOKS_DIR.resolve()
    try:
        for source, target in input_files(runbook, folder=(root / run.runbook).parent, root=root):
            copy = run.work / target
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)
    except BadInput as problem:
        raise NotStarted(str(problem)) from None
    return run.work
