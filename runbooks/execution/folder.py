"""The folder of a run: all that passes between its supervisor, once that has started, and the servers.

It holds the log, the lock that the supervisor keeps, the FIFO that cancels, the result, and what is kept.
"""

import contextlib
import fcntl
import os
import select
import time
from dataclasses import dataclass
from pathlib import Path

from runbooks.models import Run, State
from runbooks.output.entries import NotRegular, open_regular

NOT_THERE = (FileNotFoundError, NotADirectoryError, PermissionError, NotRegular)
ENDED = (State.SUCCEEDED, State.FAILED, State.TIMED_OUT, State.CANCELLED)


@dataclass(frozen=True)
class Result:
    """How a script ended, as its supervisor wrote it down."""

    state: State
    return_code: int | None
    ended_at: float
    killed: int = 0
    warnings: tuple[str, ...] = ()


def prepare(folder: Path) -> None:
    """Make the folder of a new run, with an empty log; raises OSError."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        # Left from a database that is no more: another run's log must not become the beginning of this one's.
        folder.rename(folder.with_name(f"{folder.name}.before-{time.time_ns()}"))
        folder.mkdir(mode=0o700)
    (folder / "log").touch(mode=0o600)


def exists(folder: Path) -> bool:
    """Whether it is there; unlike is_dir, this raises if there is no telling, as when too many files are open."""
    try:
        folder.lstat()
    except FileNotFoundError:
        return False
    return True


def lock(folder: Path) -> int:
    """The run's lock, held until its descriptor is closed; raises BlockingIOError if somebody else has it."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    return descriptor


def is_alive(folder: Path) -> bool:
    """Whether a supervisor, or a runner about to start one, holds the run's lock."""
    try:
        descriptor = open_regular(folder / "lock")
    except NOT_THERE:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
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


def complaint(folder: Path) -> str:
    """The last line of what a supervisor that failed said."""
    with contextlib.suppress(OSError), os.fdopen(open_regular(folder / "supervisor.err"), "rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 65536))
        lines = file.read(65536).decode(errors="replace").strip().splitlines()
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
