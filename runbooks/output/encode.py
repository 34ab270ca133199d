"""What goes over the wire: one run in each form that a client may ask for."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator

from runbooks.output.logfile import Part
from runbooks.output.text import texts

LINE_ENDS = {"\x85": r"\u0085", "\u2028": r"\u2028", "\u2029": r"\u2029"}


def sse(data: str, *, event: str = "", id: int | None = None) -> bytes:
    r"""One event; https://html.spec.whatwg.org/multipage/server-sent-events.html.

    The client puts the lines together with `\n` again. A `\r` would end a line for it, so it comes as its picture.
    """
    head = (f"event: {event}\n" if event else "") + (f"id: {id}\n" if id is not None else "")
    lines = data.replace("\r", "␍").replace("\n", "\ndata: ")
    return f"{head}data: {lines}\n\n".encode("utf-8", "replace")


def json_bytes(value: object) -> bytes:
    """JSON on one line, for those as well who take these characters of Unicode for the end of one."""
    text = json.dumps(value, ensure_ascii=False)
    for code, escape in LINE_ENDS.items():
        text = text.replace(code, escape)
    return text.encode("utf-8", "replace")


class Encoder(ABC):
    """A form that a run comes in: its output piece by piece, and at the end an object, itself in pieces of JSON."""

    content_type: bytes
    greeting: bytes  # sent at once: a server may hold back the headers until there is a body
    heartbeat: bytes

    def output(self, part: Part) -> Iterator[bytes]:
        """What is sent of these log lines as they come; nothing, if the output is told at the end alone."""
        yield from ()

    @abstractmethod
    def done(self, answer: Iterable[bytes], *, offset: int) -> Iterator[bytes]: ...

    @abstractmethod
    def failed(self, failure: bytes) -> bytes:
        """What ends the answer instead, if the client may not have the rest."""


class Whole(Encoder):
    """One JSON object at the end; white space before it keeps proxies from giving up."""

    content_type = b"application/json"
    greeting = b""
    heartbeat = b" "

    def done(self, answer: Iterable[bytes], *, offset: int) -> Iterator[bytes]:
        yield from answer

    def failed(self, failure: bytes) -> bytes:
        return failure


class Events(Encoder):
    """Server-Sent Events named stdout, stderr and done; the id is the offset to go on from."""

    content_type = b"text/event-stream; charset=utf-8"
    greeting = b": welcome\n\n"
    heartbeat = b": still here\n\n"

    def output(self, part: Part) -> Iterator[bytes]:
        for piece in texts(part.data, start=part.start):
            yield sse(piece.text, event=piece.stream, id=piece.end)

    def done(self, answer: Iterable[bytes], *, offset: int) -> Iterator[bytes]:
        yield b"event: done\nid: %d\ndata: " % offset
        yield from answer
        yield b"\n\n"

    def failed(self, failure: bytes) -> bytes:
        return b"event: error\ndata: %b\n\n" % failure


class JsonLines(Encoder):
    """One JSON object a line: `{"event", "id", "data"}`, as an event has them; silence is an event `ping`."""

    content_type = b"application/x-ndjson"
    greeting = heartbeat = b'{"event": "ping"}\n'

    def output(self, part: Part) -> Iterator[bytes]:
        for piece in texts(part.data, start=part.start):
            yield json_bytes({"event": piece.stream, "id": piece.end, "data": piece.text}) + b"\n"

    def done(self, answer: Iterable[bytes], *, offset: int) -> Iterator[bytes]:
        yield b'{"event": "done", "id": %d, "data": ' % offset
        yield from answer
        yield b"}\n"

    def failed(self, failure: bytes) -> bytes:
        return b'{"event": "error", "data": %b}\n' % failure
