"""The database when it cannot be had: what people, programs and the log are told of that, in words."""

import contextlib
import sqlite3

from django.db import DatabaseError, InterfaceError, OperationalError, connection

RETRY_AFTER = "10"  # seconds
SENTENCES = {
    sqlite3.SQLITE_BUSY: "The database is busy: something else is writing into it.",
    sqlite3.SQLITE_LOCKED: "The database is busy: something else is writing into it.",
    sqlite3.SQLITE_FULL: "The disk with the database is full.",
    sqlite3.SQLITE_READONLY: "The database cannot be written into.",
    sqlite3.SQLITE_CANTOPEN: "The database cannot be opened.",
    sqlite3.SQLITE_IOERR: "The disk with the database fails, or is full.",
    sqlite3.SQLITE_CORRUPT: "The database is damaged.",
    sqlite3.SQLITE_NOTADB: "The database is damaged.",
}
# After a failure of the disk in the middle of a commit, nobody knows whether that is done.
UNDONE = frozenset(SENTENCES) - {sqlite3.SQLITE_IOERR}


def trouble(problem: BaseException | None) -> str:
    """What the matter is with the database, as a sentence; nothing if this is another problem, such as a fault of ours.

    What the database itself says may hold its address or values, and is for the log alone.
    """
    if sentence := SENTENCES.get(_code(problem)):
        return sentence
    # A wrong query, or a table that is not there, is a fault of ours, though SQLite calls it operational, too.
    if _code(problem) == sqlite3.SQLITE_ERROR:
        return ""
    return "The database does not answer." if isinstance(problem, OperationalError | InterfaceError) else ""


def is_undone(problem: DatabaseError) -> bool:
    """Whether what was to be written is surely not there, and will not be."""
    return _code(problem) in UNDONE


def forget_deleted() -> None:
    """Leave nothing of what has been deleted in SQLite's write-ahead log, unless somebody reads it just now."""
    if connection.vendor != "sqlite":
        return
    with contextlib.suppress(OperationalError), connection.cursor() as cursor:
        waits = cursor.execute("PRAGMA busy_timeout").fetchone()[0]
        cursor.execute("PRAGMA busy_timeout=0")  # it would hold up everybody else who wants to write
        try:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            cursor.execute(f"PRAGMA busy_timeout={waits}")


def _code(problem: BaseException | None) -> int:
    """SQLite's number for this problem, without its finer distinctions."""
    cause = problem.__cause__ if isinstance(problem, DatabaseError) else None
    return getattr(cause, "sqlite_errorcode", 0) & 0xFF
