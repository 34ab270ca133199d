"""A run's log as a file: whole lines after an offset, and where they end."""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from runbooks.output.entries import open_regular

READ = 256 * 1024
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Part:
    """Whole log lines from one offset to another; without any, it says that the run's row may have changed."""

    data: bytes
    start: int
    end: int
    made: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What is made of this part, made once for all readers that are given it."""
        if key not in self.made:
            self.made[key] = make()
        return self.made[key]

    async def once_awaited(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """The same for what takes a while; a reader that leaves takes it from nobody else."""
        return await asyncio.shield(self.once(key, lambda: asyncio.ensure_future(make())))


class LogFile:
    """Reads a log, which may not be there yet, in one thread at a time."""

    def __init__(self, path: Path):
        self.path = path
        self._file: int | None = None

    def read(self, offset: int, *, most: int = READ) -> Part | None:
        """The next whole lines, one at least however long it is; None when there are none yet.

        Called in the event loop: a hop to a thread costs more than a page that was written a moment ago.
        """
        size = most
        while data := self._bytes(size, offset):
            cut = data.rfind(b"\n") + 1
            if cut:
                return Part(data[:cut], offset, offset + cut)
            if len(data) < size:
                return None
            size *= 2
        return None

    def end(self) -> int:
        """The offset after the last whole line."""
        self._open()
        end = os.fstat(self._file).st_size if self._file is not None else 0
        while end and b"\n" not in (tail := self._bytes(min(end, READ), max(0, end - READ))):
            end -= len(tail)
        return end and end - len(tail) + tail.rfind(b"\n") + 1

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _bytes(self, size: int, offset: int) -> bytes:
        self._open()
        return os.pread(self._file, size, offset) if self._file is not None else b""

    def _open(self) -> None:
        if self._file is None:
            with contextlib.suppress(OSError):  # the log is gone: there is nothing to be read, nor will there be
                self._file = open_regular(self.path)
