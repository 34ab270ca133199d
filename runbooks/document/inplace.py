"""Changes a runbook's file in its place: under a lock, in one step, and never what its author has just saved."""

import contextlib
import fcntl
import os
import random
import signal
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from runbooks.document.runbook import LARGEST_FILE

LOCK_SECONDS = 5
ATTEMPTS, PAUSE = 20, 0.1  # seconds
DRAFT = ".runbookweb-history"
Make = Callable[[bytes, int], bytes]  # of the file's bytes, and of how many entries it may have, its new bytes


class CannotWrite(Exception):
    """The History was not written; str() tells an operator why and the file is as it was."""


def change(path: Path, make: Make, *, keep: int) -> None:
    """Change a runbook's History, unless keep is 0.

    1. Wait for the lock on the folder, so that of two runs that end at once both are kept.
    2. Write the whole new text beside the file, with its owner and mode, and on to the disk.
    3. Put it in the file's place in one step, so that no reader ever sees half a runbook.
    """
    if keep < 1:
        return
    try:
        path = path.resolve(strict=True)
        with _locked(path.parent) as folder:
            _refuse_what_is_read_only(path)
            # Authors do not ask for our lock: what one saves in the meantime must not be lost, so look again.
            for _ in range(ATTEMPTS):
                if _try_change(path, make, keep=keep, folder=folder):
                    return
                time.sleep(PAUSE)
            raise CannotWrite(f"{path.name} is being changed by somebody else again and again.")
    except FileNotFoundError:
        raise CannotWrite(f"{path.name} is no longer there.") from None
    except (OSError, RuntimeError) as error:
        # Until Python 3.13 a loop of links is a RuntimeError.
        raise CannotWrite(f"{path.name} cannot be written: {getattr(error, 'strerror', None) or error}.") from None


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """The folder's descriptor with its lock, which the system frees even if this process is killed."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise CannotWrite(f"Another process has had the lock on {folder.name} for {LOCK_SECONDS} seconds.")
            # Waits of the same length would let two processes miss the same gaps again and again.
            time.sleep(random.uniform(0.001, 0.02))  # noqa: S311
        yield descriptor
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _refuse_what_is_read_only(path: Path) -> None:
    """Heed the mode as the author's wish: a rename needs no leave to write, and root has it everywhere."""
    for place, name in ((path, path.name), (path.parent, f"The folder of {path.name}")):
        mode = place.stat().st_mode
        if not mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH) or not os.access(place, os.W_OK):
            raise CannotWrite(f"{name} is read-only.")
    # Reading a named pipe would wait for ever.
    if not path.is_file():
        raise CannotWrite(f"{path.name} is not a regular file.")


def _try_change(path: Path, make: Make, *, keep: int, folder: int) -> bool:
    """Change the file unless somebody else does meanwhile; False means that one did."""
    with _at_rest(path) as file:
        if file is None:
            return False
        source = file.read()
    changed = make(source, keep)
    # What scripts print must never make the runbook too large to be read.
    while len(changed) > LARGEST_FILE and keep > 1:
        keep //= 2
        changed = make(source, keep)
    if len(changed) > LARGEST_FILE:
        raise CannotWrite(f"{path.name} would be larger than {LARGEST_FILE // 1024} KiB.")
    return changed == source or _replace(path, source, changed, folder)


def _replace(path: Path, source: bytes, changed: bytes, folder: int) -> bool:
    """Put the changed bytes into the file's place, unless it is no longer what they were made from."""
    draft = path.with_name(DRAFT)
    # A process that was killed here left its draft behind; the lock says that nobody else is at it now.
    draft.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(changed)
            file.flush()
            _copy_owner_and_mode(path, file.fileno())
            os.fsync(file.fileno())
        with _at_rest(path) as file:
            if file is None or file.read() != source:
                return False
            draft.replace(path)
        os.fsync(folder)
        return True
    finally:
        draft.unlink(missing_ok=True)


@contextlib.contextmanager
def _at_rest(path: Path) -> Iterator[BinaryIO | None]:
    """The file, into which nobody writes meanwhile; None while somebody does: what can be read may be half of it."""
    with path.open("rb") as file:
        try:
            if hasattr(fcntl, "F_SETLEASE"):
                # Whoever wants to write now waits until we close it; SIGIO would tell us by ending this process.
                fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
                fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except BlockingIOError:
            yield None
            return
        except OSError:
            pass  # a disk without leases, or a file of somebody else's
        yield file


def _copy_owner_and_mode(path: Path, descriptor: int) -> None:
    found = path.stat()
    # Only root may give a file away; others can at least keep its group.
    for owner in (found.st_uid, -1):
        with contextlib.suppress(PermissionError):
            os.fchown(descriptor, owner, found.st_gid)
            break
    os.fchmod(descriptor, stat.S_IMODE(found.st_mode))
