"""Runs in the database of the server, by the thousand, as if they had all taken place."""

import sqlite3
from contextlib import closing
from pathlib import Path

SOURCE = 2000  # bytes of more source: rows of nothing would be quicker to pass over than those that people have
NUMBERS = "WITH RECURSIVE numbers(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < ?)"
OTHERWISE = {
    "actor": "'person' || number % 50",
    "state": "CASE WHEN number % 10 = 0 THEN 'failed' ELSE state END",
    "source": f"source || hex(zeroblob({SOURCE // 2}))",
}


def multiply(database: Path, run: int, *, count: int) -> None:
    """Add so many more of this run, of fifty people, of which every tenth has failed."""
    with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        table = connection.execute("PRAGMA table_info(runbooks_run)")
        columns = {f'"{name}"': OTHERWISE.get(name, f'"{name}"') for _, name, *_ in table if name != "id"}
        copies = f"INSERT INTO runbooks_run ({', '.join(columns)}) SELECT {', '.join(columns.values())}"
        connection.execute(f"{NUMBERS} {copies} FROM runbooks_run, numbers WHERE id = ?", (count, run))
