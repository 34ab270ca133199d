"""The run log's format: how its entries are read, found and counted; the supervisor writes them.

One line an entry, as Kubernetes' container runtimes write them (CRI): `TIME STREAM TAG CONTENT`, where the tag F ends a
line of the script and P means that the rest of the line follows in that stream's next entry.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby
from pathlib import Path

PREFIX = 37
STREAMS = {b" stdout ": "stdout", b" stderr ": "stderr"}
NOT_STDOUT = re.compile(rb"\n(?!.{27} stdout . )(?!\Z)")
IS_PART = re.compile(rb"^.{27} std(?:out|err) P ", re.MULTILINE)


class NotRegular(OSError):
    """Something stands in a file's place that would be waited for, or read, for ever."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line, or a part of one, as a script printed it; `end` is the offset after it."""

    time: str
    stream: str
    is_part: bool
    content: bytes
    end: int


@dataclass(frozen=True, slots=True)
class Written:
    """Bytes that a script wrote to one stream; `end` is the offset after their entries."""

    stream: str
    content: bytes
    end: int


@dataclass(frozen=True, slots=True)
class Kind:
    """The stream of an entry, whether it is a part of a line, and whether it is of the log's own format at all."""

    stream: str
    is_part: bool
    is_ours: bool


def parse(data: bytes, *, start: int = 0) -> Iterator[Entry]:
    """The entries of whole log lines whose first byte is at this offset.

    A line in another format, which only another program can have written, is shown as it is.
    """
    end = start
    for line in data.removesuffix(b"\n").split(b"\n") if data else ():
        end += len(line) + 1
        stream = stream_of(line)
        if stream:
            yield Entry(line[:27].decode("ascii", "replace"), stream, line[35:36] == b"P", line[PREFIX:], end)
        else:
            yield Entry("", "stderr", False, line, end)


def written(data: bytes, *, start: int = 0) -> Iterator[Written]:
    """What the script wrote, of whole log lines whose first byte is at this offset: the entries without their frames.

    Consecutive entries of one stream come as one piece; a line that only another program can have written is one of
    stderr.
    """
    lines = data.removesuffix(b"\n").split(b"\n") if data else []
    if {line[27:PREFIX] for line in lines} == {b" stdout F "}:  # as most logs are, and three times as fast
        yield Written("stdout", b"\n".join([*(line[PREFIX:] for line in lines), b""]), start + len(data))
        return
    for stream, group in groupby(lines, key=stream_of):
        frames = list(group)
        start += sum(map(len, frames)) + len(frames)
        yield Written(
            stream or "stderr", b"".join(content_of(line) if stream else line + b"\n" for line in frames), start
        )


def stream_of(line: bytes) -> str | None:
    """The stream of a log line; None if only another program can have written it."""
    return STREAMS.get(line[27:35]) if line[36:37] == b" " else None


@lru_cache(maxsize=1000)
def frame_kind(frame: bytes) -> Kind:
    """What the frame of an entry, its bytes from the 28th to the 37th, says of it."""
    stream = STREAMS.get(frame[:8]) if frame[9:10] == b" " else None
    return Kind(stream or "stderr", bool(stream) and frame[8:9] == b"P", bool(stream))


def content_of(line: bytes) -> bytes:
    return line[PREFIX:] if line[35:36] == b"P" else line[PREFIX:] + b"\n"


def has_parts(data: bytes) -> bool:
    """Whether some of these log lines may be parts of lines; a search for bytes alone, for most logs have none."""
    return (b"stdout P " in data or b"stderr P " in data) and bool(IS_PART.search(data))


def is_stdout(data: bytes) -> bool:
    """Whether all of these log lines are of stdout."""
    return not NOT_STDOUT.search(b"\n" + data)


def of_stderr(data: bytes) -> Iterator[tuple[int, int]]:
    """Where there are entries of stderr in these log lines: from which byte to which."""
    start = end = 0
    for match in NOT_STDOUT.finditer(b"\n" + data):
        if match.start() != end:
            if end > start:
                yield start, end
            start = match.start()
        end = data.find(b"\n", match.start()) + 1
    if end > start:
        yield start, end


def open_regular(path: Path, flags: int = os.O_RDONLY) -> int:
    """A descriptor of a file in a run's folder, in which its script may have put anything; raises OSError."""
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotRegular(errno.EINVAL, "not a regular file", str(path))
    return descriptor


def offset_of(path: Path, asked: str) -> int | None:
    """The offset that a client asks to go on from; None if it can have been given to nobody."""
    if not (asked.isascii() and asked.isdigit() and len(asked) < 16):
        return None
    return int(asked) if is_line_start(path, int(asked)) else None


def is_line_start(path: Path, offset: int) -> bool:
    """Whether a reader may go on from this offset."""
    if offset <= 0:
        return offset == 0
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            file.seek(offset - 1)
            return file.read(1) == b"\n"
    except OSError:
        return False


def tail_offset(path: Path, *, lines: int, end: int) -> int:
    """The offset of the last entries before `end`, so many that they make these lines at the most."""
    step, found, position = 65536, 0, end
    with os.fdopen(open_regular(path), "rb") as file:
        while position > 0:
            size = min(step, position)
            file.seek(position - size)
            block = file.read(size)
            count = block.count(b"\n")
            if found + count > lines:
                for _ in range(lines - found + 1):
                    cut = block.rfind(b"\n", 0, size)
                    size = cut
                return position - len(block) + cut + 1
            found += count
            position -= size
    return 0


def excerpt(path: Path, stream: str, *, size: int = 4096) -> str:
    """The beginning and the end of what one stream printed, for people to read."""
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            total = file.seek(0, 2)
            file.seek(0)
            head = file.read(16 * size)
            gap = total - len(head)
            file.seek(max(len(head), total - 16 * size))
            tail = file.read()
    except OSError:
        return ""
    if gap <= 16 * size:
        text = _text(head + tail, stream)
        return text if len(text) <= 2 * size else f"{text[:size]}\n[...]\n{text[-size:]}"
    first = _text(head[: head.rfind(b"\n") + 1], stream)
    last = _text(tail[tail.find(b"\n") + 1 :], stream)
    return f"{first[:size]}\n[...]\n{last[-size:]}" if first or last else ""


def _text(data: bytes, stream: str) -> str:
    return b"".join(piece.content for piece in written(data) if piece.stream == stream).decode("utf-8", "replace")


def append_note(path: Path, text: str) -> None:
    """Write a line of our own into a log that no supervisor writes, in the same form as the supervisor's notes."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    with os.fdopen(open_regular(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab") as file:
        file.write(f"{now} stderr F [runbook] {' '.join(text.split())}\n".encode())
