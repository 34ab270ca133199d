"""The History section at a runbook's end: one H2 for each of the newest runs, the newest last.

Only this section is ever changed. What people wrote in it before the first run's entry stays; what they wrote below
an entry belongs to that entry and goes with it.
"""

import contextlib
import fcntl
import os
import random
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from runbooks.document.outline import Outline, Section, TooManyMarks, outline
from runbooks.document.runbook import LARGEST_FILE

LOCK_SECONDS = 5
ATTEMPTS = 5
DRAFT = ".runbookweb-history"
RUN = re.compile(r"Run (\d{1,19}) by ")
# Shown as the pictures of these characters: raw, they would move cursors in terminals and make the file a binary one.
HARMLESS = {
    **{code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
}


class CannotWrite(Exception):
    """The History was not written; str() tells an operator why and the file is as it was."""


@dataclass(frozen=True)
class Entry:
    """How one run ended, with excerpts of what it printed."""

    run: int
    ended_at: datetime
    state: str
    return_code: int | None
    actor: str
    stdout: str
    stderr: str


def append(path: Path, entry: Entry, *, keep: int) -> None:
    """Add the entry to the runbook's History, drop all but the newest keep, and do nothing if the run is there already.

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
            if not any(_try_append(path, entry, keep=keep, folder=folder) for _ in range(ATTEMPTS)):
                raise CannotWrite(f"{path.name} is being changed by somebody else again and again.")
    except FileNotFoundError:
        raise CannotWrite(f"{path.name} is no longer there.") from None
    except (OSError, RuntimeError) as error:
        # Until Python 3.13 a loop of links is a RuntimeError.
        raise CannotWrite(f"{path.name} cannot be written: {getattr(error, 'strerror', None) or error}.") from None


def appended(source: bytes, entry: Entry, *, keep: int) -> bytes:
    """The file's bytes with the entry in their History; everything outside of it stays, whatever its encoding."""
    # Bytes that are not UTF-8 become surrogates and come back as the same bytes.
    text = source.decode("utf-8", "surrogateescape")
    try:
        found = outline(text)
    except TooManyMarks as many:
        raise CannotWrite(f"In this file {many}") from None
    if unclosed := next((fence for fence in found.fences if not fence.is_closed), None):
        raise CannotWrite(f"The code fence in line {unclosed.start} is never closed; the entry would be part of it.")
    end = "\r\n" if text.count("\r\n") * 2 > text.count("\n") else "\n"
    section = found.history()
    if not section:
        added = _spaced(text, end) + f"# History{end}{end}" + entry_text(entry).replace("\n", end)
        return added.encode("utf-8", "surrogateescape")
    starts = _entry_starts(found, section)
    if entry.run in starts:
        return source
    before, rest = found.lines[: section.start], found.lines[section.end :]
    body = _body(found, section, list(starts.values()), keep=keep)
    head = "\n".join(before) + "\n" if section.start < len(found.lines) else text + end
    added = _spaced(head + body, end) + entry_text(entry).replace("\n", end)
    tail = end + "\n".join(rest) if rest else ""
    return (added + tail).encode("utf-8", "surrogateescape")


def entry_text(entry: Entry) -> str:
    """The entry as markdown that no output can break out of."""
    when = entry.ended_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    code = "no exit code" if entry.return_code is None else f"exit code {entry.return_code}"
    parts = [f"## {when} UTC: {_one_line(entry.state)}, {code}", f"Run {entry.run} by {_code_span(entry.actor)}"]
    for name, output in (("stdout", entry.stdout), ("stderr", entry.stderr)):
        parts.append(f"{name}:\n\n{_fenced(output)}" if output.strip() else f"{name}: nothing")
    return "\n\n".join(parts) + "\n"


def _entry_starts(found: Outline, section: Section) -> dict[int, int]:
    """Where each entry begins, by its run: at an H2 that a line such as `Run 7 by` follows."""
    starts = {}
    for heading in found.headings:
        if heading.level == 2 and section.start <= heading.index < section.end:
            below = "".join(found.lines[heading.index + 1 : min(heading.index + 3, section.end)]).strip()
            if match := RUN.match(below):
                starts.setdefault(int(match[1]), heading.index)
    return starts


def _body(found: Outline, section: Section, starts: list[int], *, keep: int) -> str:
    """What stays in the section before the new entry: the text before the first entry, and the newest entries."""
    first = starts[0] if starts else section.end
    dropped = starts[-(keep - 1)] if 1 < keep <= len(starts) else section.end if keep == 1 else first
    kept = found.lines[section.start : first] + found.lines[max(first, dropped) : section.end]
    return "\n".join(kept) + ("\n" if section.end < len(found.lines) else "")


def _spaced(text: str, end: str) -> str:
    """The text, ending with an empty line."""
    text += "" if text.endswith("\n") or not text else end
    return text if text.endswith(("\n\n", "\n\r\n")) or not text else text + end


def _fenced(output: str) -> str:
    text = output.replace("\r\n", "\n").replace("\r", "\n").translate(HARMLESS)
    text = text.encode("utf-8", "replace").decode().removesuffix("\n")
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", text))])
    return f"{fence}text\n{text}\n{fence}"


def _code_span(text: str) -> str:
    """The text as inline code, so that a name cannot be a link, an image or HTML."""
    text = _one_line(text)
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{space}{text}{space}{ticks}"


def _one_line(text: str) -> str:
    visible = " ".join(text.split()).translate(HARMLESS)
    return visible.encode("utf-8", "replace").decode() or "nobody"


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


def _try_append(path: Path, entry: Entry, *, keep: int, folder: int) -> bool:
    """Append unless the file changes meanwhile; False means that it did."""
    source = path.read_bytes()
    changed = appended(source, entry, keep=keep)
    # What scripts print must never make the runbook too large to be read.
    while len(changed) > LARGEST_FILE and keep > 1:
        keep //= 2
        changed = appended(source, entry, keep=keep)
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
        if path.read_bytes() != source:
            return False
        draft.replace(path)
        os.fsync(folder)
        return True
    finally:
        draft.unlink(missing_ok=True)


def _copy_owner_and_mode(path: Path, descriptor: int) -> None:
    found = path.stat()
    # Only root may give a file away; others can at least keep its group.
    for owner in (found.st_uid, -1):
        with contextlib.suppress(PermissionError):
            os.fchown(descriptor, owner, found.st_gid)
            break
    os.fchmod(descriptor, stat.S_IMODE(found.st_mode))
