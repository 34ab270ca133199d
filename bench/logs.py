"""Logs of many lines, as a supervisor would have written them: plain, coloured, and with each line in two parts."""

from collections.abc import Iterator
from pathlib import Path

TIME = b"2026-11-22T16:23:59.123456Z"
KINDS = {
    "plain": b"%(time)b stdout F line %(number)d of a log with some text\n",
    "coloured": b"%(time)b stdout F \x1b[32mline\x1b[0m %(number)d of \x1b[1;31ma log\x1b[0m with some text\n",
    "in parts": b"%(time)b stdout P line %(number)d of a log\n%(time)b stdout F  with some text\n",
}


def write(path: Path, kind: str, *, lines: int) -> None:
    """Put a log in the place of the one that is there."""
    draft = path.with_name("draft")
    with draft.open("wb") as file:
        file.writelines(_entries(kind, lines))
    draft.rename(path)


def _entries(kind: str, lines: int) -> Iterator[bytes]:
    for number in range(1, lines + 1):
        yield KINDS[kind] % {b"time": TIME, b"number": number}
