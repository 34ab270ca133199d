"""Clients that watch a run by the hundred: one thread reads for all of them, and notes when each byte came."""

import selectors
import socket
import struct
import time
import zlib
from collections.abc import Callable, Iterable

from tests.faults.person import signed_in_person
from tests.processes import Process
from tests.serving import Program

LAST_CHUNK = b"\r\n0\r\n\r\n"
ABORT = struct.pack("ii", 1, 0)
UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


class Viewer:
    """One connection that asks for one thing, and what it has been sent."""

    def __init__(self, server: Process, request: bytes):
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        server.clients.callback(self.socket.close)
        self.socket.sendall(request)
        self.pieces: list[tuple[float, bytes]] = []
        self.tail = b""

    @property
    def sent(self) -> bytes:
        return b"".join(data for _, data in self.pieces)

    @property
    def has_all(self) -> bool:
        return self.tail.endswith(LAST_CHUNK)

    def take(self, data: bytes) -> None:
        self.pieces.append((time.time(), data))
        self.tail = (self.tail + data)[-len(LAST_CHUNK) :]

    def abort(self) -> None:
        """Leave without a word: the server is sent a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        self.socket.close()

    def leave(self) -> None:
        self.socket.close()

    def half_leave(self) -> None:
        """Say farewell, and stay to listen."""
        self.socket.shutdown(socket.SHUT_WR)


class Sum(Viewer):
    """A viewer that keeps of what it is sent no more than the size and a sum of what follows the headers."""

    def __init__(self, server: Process, request: bytes):
        super().__init__(server, request)
        self.size = self.sum = 0
        self.head: bytes | None = b""

    def take(self, data: bytes) -> None:
        self.tail = (self.tail + data)[-len(LAST_CHUNK) :]
        if self.head is not None:
            self.head, end, data = (self.head + data).partition(b"\r\n\r\n")
            if not end:
                return
            self.head = None
        self.size, self.sum = self.size + len(data), zlib.crc32(data, self.sum)


def receive(viewers: Iterable[Viewer], *, until: Callable[[Viewer], bool], seconds: float = 60) -> None:
    """Receive for all of these viewers until this is true of each."""
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        waiting = {selector.register(viewer.socket, selectors.EVENT_READ, viewer).fd for viewer in viewers}
        while waiting:
            assert time.monotonic() < deadline, f"{len(waiting)} viewers still wait after {seconds} s"
            for key, _ in selector.select(1):
                data = key.fileobj.recv(1 << 18)
                key.data.take(data)
                if not data or until(key.data):
                    selector.unregister(key.fileobj)
                    waiting.remove(key.fd)


def requests(server: Process, program: Program, run: int) -> dict[str, bytes]:
    """What asks for a run in each form in which it can be followed or had."""
    person = signed_in_person(server)
    cookie = f"Cookie: {'; '.join(f'{name}={value}' for name, value in person.cookies.items())}\r\n"
    token = f"Authorization: {program.authorization}\r\n"
    asked = {
        "events": (f"/api/runs/{run}/events", f"{token}Accept: text/event-stream\r\n"),
        "lines": (f"/api/runs/{run}/events", f"{token}Accept: application/x-ndjson\r\n"),
        "socket": (f"/api/runs/{run}/socket", f"{token}{UPGRADE}"),
        "fragments": (f"/runs/{run}/events/", cookie),
        "log": (f"/api/runs/{run}/log", token),
    }
    return {
        form: f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode()
        for form, (path, headers) in asked.items()
    }
