"""Daphne's gaps stay closed, and `manage.py serve` starts and ends as it promises: real processes and sockets."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
MEGABYTE = 1_000_000
FLOOD = 200 * MEGABYTE // 65536 * 65536


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


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Process]:
    plain = ["plain"] if os.environ.get("PLAIN_DAPHNE") else []
    with running("-W", "error", "-m", "tests.server_apps", *plain, stdout=tmp_path / "out") as server:
        assert server.will_say("\n")
        server.port = int(server.stdout.read_text().split()[1])
        yield server


def read_all(client: socket.socket) -> bytes:
    """All bytes until the server closes the connection."""
    return b"".join(iter(lambda: client.recv(65536), b""))


def size_of_all(response: http.client.HTTPResponse) -> int:
    return sum(len(part) for part in iter(lambda: response.read(MEGABYTE), b""))


def open_socket(server: Process) -> socket.socket:
    """A WebSocket, after its handshake."""
    client = server.send(
        b"GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert client.recv(4096).startswith(b"HTTP/1.1 101 ")
    return client


def frame(text: bytes, *, opcode: int = 1) -> bytes:
    """A client's frame; four zeros are a mask that changes nothing."""
    return bytes([0x80 | opcode, 0x80 | len(text)]) + bytes(4) + text


def test_a_client_that_reads_nothing_costs_no_memory_and_then_gets_every_byte(server):
    before = server.state()["peak"]
    response = server.get("/flood")
    until(server.stalled)
    assert server.state()["offered"] < FLOOD
    assert size_of_all(response) == FLOOD
    assert server.state()["peak"] - before < 30 * MEGABYTE


def test_a_socket_that_reads_nothing_costs_no_memory_and_then_gets_every_byte(server):
    before = server.state()["peak"]
    client = open_socket(server)
    client.sendall(frame(b"flood"))
    until(server.stalled)
    client.sendall(frame(b"the end"))
    received, tail = 0, b""
    while not tail.endswith(b"the end"):
        part = client.recv(MEGABYTE)
        received, tail = received + len(part), (tail + part)[-7:]
    assert received >= FLOOD
    assert server.state()["peak"] - before < 30 * MEGABYTE


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


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_long_is_refused_and_costs_no_memory(server, chunked):
    before = server.state()["peak"]
    answer = post(server, 100 * MEGABYTE, chunked=chunked)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.endswith(b"\r\n\r\nThe request is too long\n")
    assert server.state()["peak"] - before < 5 * MEGABYTE


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_not_too_long_arrives_whole_and_is_read_once(server, chunked):
    before = server.state()["peak"]
    assert post(server, 3 * MEGABYTE, chunked=chunked).endswith(b"\r\n3000000\r\n0\r\n\r\n")
    assert server.state()["peak"] - before < 15 * MEGABYTE


def test_a_client_that_asks_before_it_sends_is_not_told_to(server):
    client = server.send(
        b"POST /length HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 4000000\r\n\r\n"
    )
    assert read_all(client).startswith(b"HTTP/1.1 413 ")


def test_a_refused_client_that_never_ends_is_cut_off(server):
    client = server.send(b"POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000\r\n\r\n")
    assert read_all(client).startswith(b"HTTP/1.1 413 ")
    until(lambda: is_reset(client))
    assert server.stop() == 0


def is_reset(client: socket.socket) -> bool:
    try:
        client.sendall(b"x")
    except ConnectionError:
        return True
    return False


def test_a_client_that_leaves_releases_the_waiting_writer_which_then_holds_up_nobody(server):
    client = server.send(b"GET /flood?1000000000000000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    until(server.stalled)
    offered = server.state()["offered"]
    client.close()
    until(lambda: server.state()["offered"] > offered)
    until(server.stalled)  # Daphne's reaper has come for it
    assert server.stop() == 0


def test_an_error_in_the_middle_of_an_answer_closes_the_connection(server):
    client = server.send(b"GET /break-midway HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert read_all(client).endswith(b"6\r\nfirst\n\r\n")
    assert "in the middle" in server.complaints


def test_after_an_error_in_the_middle_other_connections_are_looked_after(server):
    server.send(b"GET /break-midway HTTP/1.1\r\nHost: localhost\r\n\r\n")
    until(lambda: "in the middle" in server.complaints)
    assert server.get("/break-at-once").status == 500
    server.send(b"GET /wait-for-ever HTTP/1.1\r\nHost: localhost\r\n\r\n").close()
    assert server.will_say("stream ended")


def test_a_stop_ends_every_stream_despite_a_half_received_request(server):
    streams = [server.get("/wait-for-ever") for _ in range(3)]
    half = server.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf")
    until(lambda: server.state()["without_application"])
    assert server.stop() == 0
    assert server.stdout.read_text().count("stream ended") == len(streams)
    assert half.recv(1) == b""


def test_a_stop_does_not_wait_for_a_client_that_reads_nothing(server):
    client = server.send(b"GET /flood HTTP/1.1\r\nHost: localhost\r\n\r\n")
    until(server.stalled)
    assert server.stop(signal.SIGINT) == 0
    assert len(read_all(client)) < FLOOD


def test_requests_on_one_connection_are_answered_in_order(server):
    request = b"GET /flood?%d HTTP/1.1\r\nHost: localhost\r\n%s\r\n"
    close = b"Connection: close\r\n"
    client = server.send(request % (20 * MEGABYTE, b"") + request % (30 * MEGABYTE, b"") + request % (65536, close))
    answers = read_all(client).split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert [answer.count(b"0123456789abcdef") // 4096 for answer in answers] == [305, 457, 1]


def test_an_answer_to_http_1_0_ends_with_the_connection(server):
    client = server.send(b"GET /flood?%d HTTP/1.0\r\n\r\n" % (20 * MEGABYTE))
    head, body = read_all(client).split(b"\r\n\r\n", 1)
    assert b"chunked" not in head.lower()
    assert len(body) == 20 * MEGABYTE // 65536 * 65536


def test_a_socket_talks_and_closes(server):
    client = open_socket(server)
    client.sendall(frame(b"hello"))
    assert client.recv(100) == b"\x81\x05hello"
    client.sendall(frame(b"\x03\xe8", opcode=8))
    assert read_all(client) == b"\x88\x02\x03\xe8"
    assert server.will_say("socket ended")


def test_an_error_in_an_open_socket_closes_it_and_nothing_else(server):
    client = open_socket(server)
    client.sendall(frame(b"fail"))
    assert client.recv(100) == b"\x88\x02\x03\xf3"
    assert server.get("/break-at-once").status == 500


def test_a_runner_that_failed_is_started_again_and_ended_at_a_stop(server):
    assert server.will_say("second runner started")
    assert "RuntimeError: the first runner" in server.complaints
    assert server.stop() == 0
    assert server.says("second runner ended")


def free_port(address: str = "127.0.0.1") -> str:
    with socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET) as taken:
        return str(taken.getsockname()[1])


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database, up to date."""
    data = tmp_path_factory.mktemp("migrated")
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"DATA_DIR": str(data)}, check=True)
    return data / "db.sqlite3"


@pytest.fixture
def data(tmp_path: Path, migrated: Path) -> Path:
    """A DATA_DIR to serve from."""
    shutil.copy(migrated, tmp_path)
    return tmp_path


def serving(data: Path, *command: str, **environment: str) -> contextlib.AbstractContextManager[Process]:
    environment = {"API_PORT": free_port(), "DATA_DIR": str(data)} | environment
    return running(*(command or ("manage.py", "serve", "--no-runner")), stdout=data / "out", **environment)


def test_serve_says_where_it_is_ready_and_ends_cleanly(data):
    with serving(data, API_PORT=(port := free_port())) as server:
        assert server.will_say("\n")
        server.port = int(port)
        assert server.get("/no-such-page").getheader("server") is None
        assert server.stop() == 0
        assert server.stdout.read_text() == f"Runbookweb is ready at http://127.0.0.1:{port}\n"
        assert server.complaints == ""


def test_serve_listens_on_an_ipv6_address(data):
    try:
        port = free_port("::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    with serving(data, BIND_ADDRESS="::1", API_PORT=port) as server:
        assert server.will_say(f"ready at http://[::1]:{port}\n")
        socket.create_connection(("::1", int(port)), timeout=5).close()
        assert server.stop(signal.SIGINT) == 0


def test_serve_says_which_port_is_taken(data):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with serving(data, API_PORT=str(port)) as server:
            assert server.process.wait(15) == 1
            assert server.complaints == f"Port {port} on 127.0.0.1 is in use; set API_PORT to a free one.\n"
            assert server.stdout.read_text() == ""


@pytest.fixture
def pages(data: Path) -> Iterator[Process]:
    """The whole application, as `serve` serves it."""
    with serving(data, API_PORT=(port := free_port())) as server:
        assert server.will_say("\n")
        server.port = int(port)
        yield server


def ask(server: Process, *headers: bytes, path: bytes = b"/login/") -> bytes:
    """The server's whole answer to a GET with these headers."""
    lines = [b"GET " + path + b" HTTP/1.1", b"Connection: close", *headers, b"", b""]
    return read_all(server.send(b"\r\n".join(lines)))


@pytest.mark.parametrize("path", [b"/", b"/runs/1/events/", b"/no-such-page"])
def test_a_socket_that_nothing_listens_to_is_denied(pages, path):
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    bad = [b"Sec-WebSocket-Protocol: \xff", b"Daphne-Root-Path: %ff"]
    upgrade = [b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Version: 13", key, *bad]
    answer = ask(pages, b"Host: localhost", *upgrade, path=path)
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert pages.stop() == 0
    assert pages.complaints == ""


def test_a_client_cannot_move_the_root_of_the_paths(pages):
    plain, moved = (ask(pages, b"Host: localhost", *extra) for extra in ([], [b"dAphne-root-path: /x"]))
    assert plain.split(b"\r\n")[0] == moved.split(b"\r\n")[0] == b"HTTP/1.1 200 OK"
    assert pages.complaints == ""


@pytest.mark.parametrize("size", [2_800_000, 100_000])
def test_a_form_that_django_refuses_is_one_line_in_the_log(pages, size):
    # The one is too large for Django, and not yet for the server; the other has too many fields.
    cookie = b"Cookie: runbookweb_csrf=%s\r\n" % (b"x" * 32)
    assert post(pages, size, extra=cookie, path="/login/").startswith(b"HTTP/1.1 400 ")
    assert re.fullmatch(r"[^\n]* ERROR django\.security\.\w+: [^\n]+\n", pages.complaints)


def test_a_foreign_host_is_one_line_in_the_log(pages):
    assert ask(pages, b"Host: elsewhere.example").startswith(b"HTTP/1.1 400 ")
    assert re.fullmatch(r"[^\n]* ERROR django\.security\.DisallowedHost: [^\n]+\n", pages.complaints)


def test_a_page_refuses_a_body_that_is_too_long(pages):
    assert post(pages, 4 * MEGABYTE, path="/login/").startswith(b"HTTP/1.1 413 ")
    assert pages.get("/login/").status == 200


def test_serve_without_migrations_says_what_to_do(tmp_path):
    with serving(tmp_path) as server:
        assert server.process.wait(15) == 1
        assert re.fullmatch(r"The database is not up to date: run .* migrate` first, .*\n", server.complaints)


def test_serve_on_a_file_that_is_no_database_says_so(tmp_path):
    (tmp_path / "db.sqlite3").write_bytes(b"nothing" * 1000)
    with serving(tmp_path) as server:
        assert server.process.wait(15) == 1
        assert server.complaints.endswith("db.sqlite3 cannot be used: file is not a database.\n")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the flag")
@pytest.mark.parametrize(
    ("command", "environment"),
    [
        (["serve", "--no-runner"], {}),
        (["migrate", "--verbosity", "0"], {}),
        (["migrate"], {"API_PORT": "http"}),  # ends when it reads its settings
    ],
)
def test_every_command_keeps_its_memory_and_environment_from_scripts(data, command, environment):
    told_at_exit = f"""if True:
        import atexit, ctypes, runpy, sys
        atexit.register(lambda: print("dumpable:", ctypes.CDLL(None).prctl(3), flush=True))
        sys.argv = ["manage.py", *{command}]
        runpy.run_path("manage.py", run_name="__main__")
    """
    with serving(data, "-c", told_at_exit, **environment) as server:
        if "serve" in command:
            assert server.will_say("ready")
            server.stop()
        assert server.will_say("dumpable: 0\n")
