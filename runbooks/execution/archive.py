"""Writes a backup: one archive of the database and of what runs have left, made while runs go on, without a secret.

1. Nobody prunes meanwhile. The database is copied first: what a run that has ended by then has left stays as it is.
2. What must not be in a backup is taken out of the copy, and of what was going on is said that it was.
3. The archive is written beside its target, on to the disk, and takes its name when it is whole.
"""

import contextlib
import fcntl
import os
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone

from runbooks.execution import retention
from runbooks.models import Run, State
from runbooks.output.entries import open_regular
from runbooks.output.follow import Reader

COMPRESSION = 6
WAITED = "It waited when a backup was made, and this is that backup: it was cancelled, lest it starts a second time."
WENT_ON = "It went on when a backup was made, and this is that backup: how it ended is not known here."
BY = "manage.py backup"
RUNS, SESSIONS = Run._meta.db_table, Session._meta.db_table
END = "ended_at = :now, warnings = json_insert(warnings, '$[#]', :why)"


class CannotBackUp(Exception):
    """There is no backup, and nothing is left of the attempt; str() says why, for people."""


@dataclass
class Backup:
    """What has been written: how many runs, how large the archive is, and files that could not be read."""

    runs: int = 0
    bytes: int = 0
    left_out: list[str] = field(default_factory=list)


def write(target: Path) -> Backup:
    """Write a backup; raises CannotBackUp, and django.db.DatabaseError for a database that cannot be read."""
    target = target.absolute()
    if os.path.lexists(target):
        raise CannotBackUp(f"{target} is there already; name a file that is not.")
    if not target.parent.is_dir():
        raise CannotBackUp(f"There is no folder {target.parent}; make it first.")
    if connection.vendor != "sqlite":
        raise CannotBackUp("Only a database of SQLite is backed up by this command; use that of your database.")
    try:
        with retention.kept(), _drafts(target) as drafts:
            return _written(target, drafts)
    except retention.Busy as busy:
        raise CannotBackUp(str(busy)) from None
    except OSError as problem:
        raise CannotBackUp(f"{problem.filename or target} cannot be written: {problem.strerror}.") from None
    except sqlite3.Error as problem:
        raise CannotBackUp(f"The database could not be copied to {target.parent}: {problem}.") from None


def _written(target: Path, drafts: Path) -> Backup:
    copy, states = _database(drafts)
    backup = Backup(runs=len(states))
    draft = drafts / "archive"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=COMPRESSION) as archive:
            with copy.open("rb") as database:
                _add(archive, "db.sqlite3", database)
            for pk, state in states:
                _add_run(archive, Run(pk=pk), State(state), backup)
        file.flush()
        os.fsync(file.fileno())
        backup.bytes = file.tell()
    draft.rename(target)
    _sync(target.parent)
    return backup


@contextlib.contextmanager
def _drafts(target: Path) -> Iterator[Path]:
    """A folder of ours beside the target, which goes afterwards; the next backup removes what a killed one left."""
    drafts = target.with_name(f".{target.name}.draft")
    with contextlib.suppress(FileExistsError):
        drafts.mkdir(mode=0o700)
    descriptor = os.open(drafts, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for left in drafts.iterdir():
            left.unlink()
        yield drafts
        shutil.rmtree(drafts)
    except BlockingIOError:
        raise CannotBackUp(f"Another backup to {target} goes on.") from None
    except BaseException:
        shutil.rmtree(drafts, ignore_errors=True)
        raise
    finally:
        os.close(descriptor)


def _database(drafts: Path) -> tuple[Path, list[tuple[int, str]]]:
    """A copy of the database as it may leave the machine, and the runs in it with the states that they were in."""
    draft, clean = drafts / "database", drafts / "db.sqlite3"
    connection.ensure_connection()
    with contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as copy:
        connection.connection.backup(copy)
        # It has no other readers, and is thrown away if this process dies.
        copy.execute("PRAGMA journal_mode=OFF")
        copy.execute("PRAGMA synchronous=OFF")
        states = copy.execute(f"SELECT id, state FROM {RUNS} ORDER BY id").fetchall()  # noqa: S608
        _clean(copy)
        # Into a new file, and not in place: what was deleted is in none of its pages.
        copy.execute("VACUUM INTO ?", [os.fspath(clean)])
    draft.unlink()
    return clean, states


def _clean(copy: sqlite3.Connection) -> None:
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    copy.execute(f"DELETE FROM {SESSIONS}")  # noqa: S608
    copy.execute(
        f"UPDATE {RUNS} SET state = :state, cancelled_at = :now, cancelled_by = :by, {END} WHERE state = :was",  # noqa: S608
        {"now": now, "why": WAITED, "by": BY, "state": State.CANCELLED.value, "was": State.QUEUED.value},
    )
    copy.execute(
        f"UPDATE {RUNS} SET state = :state, {END} WHERE state = :was",  # noqa: S608
        {"now": now, "why": WENT_ON, "state": State.LOST.value, "was": State.RUNNING.value},
    )
    copy.execute(f"UPDATE {RUNS} SET sealed_values = NULL")  # noqa: S608


def _add_run(archive: tarfile.TarFile, run: Run, state: State, backup: Backup) -> None:
    """What the run has left; of one that was going on its log so far, and of one that waited nothing."""
    if state == State.QUEUED:
        return
    folder = f"runs/{run.pk}"
    _add_file(archive, f"{folder}/log", run.log, backup, size=_whole_lines(run))
    if state != State.RUNNING:
        _add_file(archive, f"{folder}/result", run.folder / "result", backup)
        _add_outputs(archive, run, backup)


def _whole_lines(run: Run) -> int:
    """How long the run's log is up to the last whole line."""
    reader = Reader(run)
    try:
        return reader.end()
    finally:
        reader.close()


def _add_outputs(archive: tarfile.TarFile, run: Run, backup: Backup) -> None:
    for parent, folders, files in os.walk(run.folder / "outputs"):
        name = Path(parent).relative_to(run.folder.parent.parent)
        info = _info(os.fspath(name), Path(parent).stat())
        info.type, info.mode, info.size = tarfile.DIRTYPE, 0o700, 0
        archive.addfile(info)
        # A link to a folder is no folder to go into.
        for file in (*files, *(folder for folder in folders if Path(parent, folder).is_symlink())):
            _add_file(archive, os.fspath(name / file), Path(parent, file), backup)


def _add_file(archive: tarfile.TarFile, name: str, path: Path, backup: Backup, *, size: int | None = None) -> None:
    if file := _opened(path, backup):
        with file:
            _add(archive, name, file, size=size)


def _opened(path: Path, backup: Backup) -> BinaryIO | None:
    """The file, if it is there and is one."""
    try:
        return os.fdopen(open_regular(path), "rb")
    except FileNotFoundError:
        return None
    except OSError:
        backup.left_out.append(os.fspath(path))
        return None


def _add(archive: tarfile.TarFile, name: str, file: BinaryIO, *, size: int | None = None) -> None:
    info = _info(name, os.fstat(file.fileno()), size=size)
    archive.addfile(info, file)


def _info(name: str, found: os.stat_result, *, size: int | None = None) -> tarfile.TarInfo:
    """As the server would have made it, for a restore by root to give it back to the server's user."""
    info = tarfile.TarInfo(name)
    info.mode, info.mtime = 0o600, int(found.st_mtime)
    info.uid, info.gid = found.st_uid, found.st_gid
    info.size = found.st_size if size is None else size
    return info


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
