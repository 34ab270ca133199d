"""The History section at a runbook's end: one H2 for each of the newest runs, the newest last.

Only this section is ever changed. What people wrote in it before the first run's entry stays; what they wrote below
an entry belongs to that entry and goes with it.
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from runbooks.document.inplace import CannotWrite as CannotWrite
from runbooks.document.inplace import change
from runbooks.document.outline import Outline, Section, TooManyMarks, outline

RUN = re.compile(r"Run (\d{1,19}) by ")
# Shown as the pictures of these characters: raw, they would move cursors in terminals and make the file a binary one.
HARMLESS = {
    **{code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
}


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


# What a History is to tell: entries, the newest last, and the runs whose ends have not been recorded elsewhere yet.
Told = tuple[Sequence[Entry], Collection[int]]


def append(path: Path, entry: Entry, *, keep: int) -> None:
    """Add the entry to the runbook's History, drop all but the newest keep, and do nothing if the run is there already.

    Raises CannotWrite.
    """
    change(path, lambda source, keep: appended(source, entry, keep=keep), keep=keep)


def rewrite(path: Path, told: Callable[[], Told], *, keep: int) -> None:
    """Put the newest keep of what is to be told in the place of the History's entries; raises CannotWrite.

    Asked for under the lock: meanwhile no run's end can be recorded in the file.
    """

    def changed(source: bytes, keep: int) -> bytes:
        entries, unsettled = told()
        return rewritten(source, entries[-keep:], unsettled=unsettled)

    change(path, changed, keep=keep)


def appended(source: bytes, entry: Entry, *, keep: int) -> bytes:
    """The file's bytes with the entry in their History; everything outside of it stays, whatever its encoding."""
    text, found = _outlined(source)
    section = found.history()
    starts = _entry_starts(found, section) if section else {}
    return source if entry.run in starts else _with_entries(text, found, [entry], older=keep - 1)


def rewritten(source: bytes, entries: Sequence[Entry], *, unsettled: Collection[int] = ()) -> bytes:
    """The file's bytes with these entries in their History, and of the others there those of unsettled runs alone.

    What is written before the first entry stays.
    """
    text, found = _outlined(source)
    section = found.history()
    if not section:
        return _with_entries(text, found, entries, older=0) if entries else source
    starts = _entry_starts(found, section)
    kept = [_entry_lines(found, section, starts, run) for run in starts if run in unsettled]
    return _with_entries(text, found, entries, older=0, newer=kept)


def _outlined(source: bytes) -> tuple[str, Outline]:
    # Bytes that are not UTF-8 become surrogates and come back as the same bytes.
    text = source.decode("utf-8", "surrogateescape")
    try:
        found = outline(text)
    except TooManyMarks as many:
        raise CannotWrite(f"In this file {many}") from None
    if unclosed := next((fence for fence in found.fences if not fence.is_closed), None):
        raise CannotWrite(f"The code fence in line {unclosed.start} is never closed; the entry would be part of it.")
    return text, found


def _with_entries(
    text: str, found: Outline, entries: Sequence[Entry], *, older: int, newer: Sequence[str] = ()
) -> bytes:
    """The text with these entries between the newest `older` that its History has already, and `newer` ones as text."""
    end = "\r\n" if text.count("\r\n") * 2 > text.count("\n") else "\n"
    section, tail = found.history(), ""
    if section:
        before, rest = found.lines[: section.start], found.lines[section.end :]
        head = "\n".join(before) + "\n" if section.start < len(found.lines) else text + end
        head += _body(found, section, list(_entry_starts(found, section).values()), older=older)
        tail = (end if entries or newer else "") + "\n".join(rest) if rest else ""
    else:
        head = _spaced(text, end) + f"# History{end}{end}"
    texts = [*(entry_text(entry).replace("\n", end) for entry in entries), *newer]
    head = _spaced(head, end) if texts else head
    return (head + end.join(texts) + tail).encode("utf-8", "surrogateescape")


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


def _entry_lines(found: Outline, section: Section, starts: dict[int, int], run: int) -> str:
    """The text of one run's entry, with one line end behind it."""
    after = min([start for start in starts.values() if start > starts[run]], default=section.end)
    lines = found.lines[starts[run] : after]
    while lines and not lines[-1].strip():
        lines.pop()
    return "\n".join([*lines, ""])


def _body(found: Outline, section: Section, starts: list[int], *, older: int) -> str:
    """What stays in the section before new entries: the text before the first entry, and the newest entries."""
    first = starts[0] if starts else section.end
    dropped = starts[-older] if 0 < older < len(starts) else section.end if older == 0 else first
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
