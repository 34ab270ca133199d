"""A run's log as one download: as it is in its file, or line by line as text and as JSON."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs

from runbooks.models import Run
from runbooks.output.encode import json_bytes
from runbooks.output.follow import Reader
from runbooks.output.stream import TEXT, Refusal, Stream
from runbooks.output.whole import WholeLine, WholeLines
from runbooks.threads import in_thread

RANGE = re.compile(r"([0-9]{1,15})-([0-9]{1,15})")


class LogText(Stream):
    """The log of `run`, which a subclass fetches, so far."""

    content_type = TEXT
    greeting = b""
    run: Run

    async def open(self) -> None:
        await super().open()
        # Not an empty text: that would say that the script has printed nothing.
        if self.run.started_at and not await in_thread(self.run.log.exists):
            raise Refusal(404, "The log of this run is not there any more.")

    async def pump(self) -> None:
        reader = Reader(self.run)
        try:
            for part in reader.read_to(reader.end()):
                await self.send_body(part.data, more_body=True)
        finally:
            reader.close()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of a log's lines somebody wants, and how."""

    lines: str = ""
    first: int = 1
    last: int | None = None
    has_times: bool = True
    is_download: bool = False

    @property
    def is_all(self) -> bool:
        return self.has_times and not self.lines

    @property
    def told(self) -> str:
        """What the name of a file says of them: two that differ must not have one name."""
        lines = f"-lines-{self.lines}" if self.lines else ""
        return lines if self.has_times else f"{lines}-without-times"

    @classmethod
    def of(cls, query: str) -> "Wanted":
        """What an address asks for after its `?`; raises Refusal."""
        asked = {name: values[-1] for name, values in parse_qs(query).items()}
        lines, times, download = (asked.get(name, "") for name in ("lines", "times", "download"))
        numbers = RANGE.fullmatch(lines)
        first, last = map(int, numbers.groups()) if numbers else (1, None)
        if lines and (last is None or not 1 <= first <= last):
            raise Refusal(400, f"lines: {lines!r} is no range of lines; write it as in lines=10-20.")
        if times not in ("", "none"):
            raise Refusal(400, f"times: {times!r} is not known; leave it out, or write times=none.")
        return cls(lines, first, last, not times, download == "1")


class LogLines(LogText):
    """The log as text: all of it or some of its lines, with times as its file has it, or what is seen of it alone."""

    ending = "txt"

    async def open(self) -> None:
        await super().open()
        self.wanted = Wanted.of(self.scope["query_string"].decode("latin-1"))

    async def pump(self) -> None:
        if self.wanted.is_all and self.content_type == TEXT:
            await super().pump()  # as the file has it: nothing is taken apart
            return
        pieces = self.encoded(await in_thread(WholeLines, self.run.log, first=self.wanted.first, last=self.wanted.last))
        while (piece := await in_thread(next, pieces, None)) is not None:
            await self.send_body(piece, more_body=True)

    def encoded(self, lines: WholeLines) -> Iterator[bytes]:
        """Piece after piece of the answer, made in a thread."""
        if self.wanted.has_times:
            yield from lines.raw()
        else:
            for told in lines.told():
                yield "".join(line.text + "\n" * line.has_ended for line in told).encode("utf-8", "replace")

    def more_headers(self) -> list[tuple[bytes, bytes]]:
        if not self.wanted.is_download:
            return []
        name = f"run-{self.run.pk}{self.wanted.told}.{self.ending}"
        return [(b"Content-Disposition", f'attachment; filename="{name}"'.encode())]


class LogJson(LogLines):
    """The same as an array of `{line, time, stream, text}`, in the order in which the lines have ended."""

    content_type = b"application/json"
    ending = "json"

    def encoded(self, lines: WholeLines) -> Iterator[bytes]:
        yield b"["
        separator = b"\n"
        for told in lines.told():
            if told:
                yield separator + b",\n".join(json_bytes(self._fields(line)) for line in told)
                separator = b",\n"
        yield b"\n]\n"

    def _fields(self, line: WholeLine) -> dict[str, object]:
        time = {"time": line.time or None} if self.wanted.has_times else {}
        return {"line": line.number, **time, "stream": line.stream, "text": line.text}
