"""Servers as processes of their own, and what their clients need."""

import contextlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MEGABYTE = 1_000_000


def until(condition: Callable[[], Any], *, seconds: float = 15) -> Any:
    """The condition's first true value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"still not true after {seconds} s"
        time.sleep(0.02)
    return value


class Process:
    """A server process, and what a client needs of it."""

    def __init__(self, *command: str, stdout: Path, **environment: str):
        self.stdout = stdout
        self.port = 0
        self.clients = contextlib.ExitStack()
        with stdout.open("w") as out, stdout.with_suffix(".stderr").open("w") as err:
            options = {"env": os.environ | environment, "cwd": ROOT, "stdout": out, "stderr": err}
            self.process = subprocess.Popen([sys.executable, *command], **options)

    def says(self, text: str) -> bool:
        return text in self.stdout.read_text()

    def will_say(self, text: str) -> bool:
        """Whether the process says this within some seconds, and before it ends."""
        until(lambda: self.says(text) or self.process.poll() is not None)
        return self.says(text)

    @property
    def complaints(self) -> str:
        return self.stdout.with_suffix(".stderr").read_text()

    def peak_memory(self) -> int:
        """The most bytes of memory that the process has held so far; Linux alone tells."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])

    def stop(self, sig: int = signal.SIGTERM) -> int:
        self.process.send_signal(sig)
        return self.process.wait(5)

    def send(self, request: bytes) -> socket.socket:
        client = self.clients.enter_context(socket.create_connection(("127.0.0.1", self.port), timeout=10))
        client.sendall(request)
        return client

    def get(self, path: str) -> http.client.HTTPResponse:
        client = self.clients.enter_context(
            contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10))
        )
        client.request("GET", path)
        return self.clients.enter_context(client.getresponse())

    def state(self) -> dict[str, int]:
        return json.load(self.get("/state"))

    def stalled(self) -> bool:
        """Whether the application has stopped offering bytes: the client's and the kernel's buffers are full."""
        before = self.state()["offered"]
        return 0 < before == self.state()["offered"]


@contextlib.contextmanager
def running(*command: str, **options: Any) -> Iterator[Process]:
    server = Process(*command, **options)
    try:
        yield server
    finally:
        server.clients.close()
        server.process.kill()
        server.process.wait()
        print(server.complaints)  # pytest shows it if the test failed


def read_all(client: socket.socket) -> bytes:
    """All bytes until the server closes the connection."""
    return b"".join(iter(lambda: client.recv(65536), b""))


def post(server: Process, size: int, *, chunked: bool = False, path: str = "/length", extra: bytes = b"") -> bytes:
    """All that the server answers to a form of this size."""
    length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % size
    form = b"Content-Type: application/x-www-form-urlencoded\r\n" + extra
    head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s%s\r\n\r\n"
    client = server.send(head % (path.encode(), form, length))
    for start in range(0, size, MEGABYTE):
        piece = b"a=b&" * (min(MEGABYTE, size - start) // 4)
        client.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
    client.sendall(b"0\r\n\r\n" if chunked else b"")
    return read_all(client)


def read_from_outside(*files: Path) -> bytes:
    """The bytes of files that this process has open as a database: to close one of them would drop all its locks."""
    return subprocess.run(["cat", *files], stdout=subprocess.PIPE, check=True).stdout


def free_port() -> int:
    # Below the range from which systems take the ports of outgoing connections: one of those might take it meanwhile.
    for port in random.sample(range(20_000, 32_000), 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise RuntimeError("of a hundred ports none is free")
