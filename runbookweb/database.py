"""The database when it cannot be had: what people, programs and the log are told of that, in words."""

import sqlite3

from django.db import DatabaseError, InterfaceError, OperationalError

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
    return "The database does not answer." if isinstance(problem, OperationalError | InterfaceError) else ""


def is_undone(problem: DatabaseError) -> bool:
    """Whether what was to be written is surely not there, and will not be."""
    return _code(problem) in UNDONE


def _code(problem: BaseException | None) -> int:
    """SQLite's number for this problem, without its finer distinctions."""
    cause = problem.__cause__ if isinstance(problem, DatabaseError) else None
    return getattr(cause, "sqlite_errorcode", 0) & 0xFF
