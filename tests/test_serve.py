"""`manage.py serve` starts, answers and ends as it promises."""

import contextlib
import json
import re
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import MEGABYTE, Process, free_port, post, read_all, running


@pytest.fixture
def data(tmp_path: Path, migrated: Path) -> Path:
    """A DATA_DIR to serve from."""
    shutil.copy(migrated, tmp_path)
    return tmp_path


def serving(data: Path, *command: str, **environment: str) -> contextlib.AbstractContextManager[Process]:
    environment = {"API_PORT": str(free_port()), "DATA_DIR": str(data)} | environment
    return running(*(command or ("manage.py", "serve", "--no-runner")), stdout=data / "out", **environment)


def test_serve_says_where_it_is_ready_and_ends_cleanly(data):
    with serving(data, API_PORT=str(port := free_port())) as server:
        assert server.will_say("\n")
        server.port = port
        assert server.get("/no-such-page").getheader("server") is None
        assert server.stop() == 0
        assert server.stdout.read_text() == f"Runbookweb is ready at http://127.0.0.1:{port}\n"
        assert server.complaints == ""


def test_serve_listens_on_an_ipv6_address(data):
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    with serving(data, BIND_ADDRESS="::1", API_PORT=str(port := free_port())) as server:
        assert server.will_say(f"ready at http://[::1]:{port}\n")
        socket.create_connection(("::1", port), timeout=5).close()
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
    with serving(data, API_PORT=str(port := free_port())) as server:
        assert server.will_say("\n")
        server.port = port
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
    assert post(pages, size, extra=cookie, path="/login/").startswith(b"HTTP/1.1 413 ")
    (line,) = map(json.loads, pages.complaints.splitlines())
    assert (line["level"], line["logger"].rpartition(".")[0]) == ("ERROR", "django.security")
    assert "exception" not in line


def test_a_foreign_host_is_one_line_in_the_log(pages):
    assert ask(pages, b"Host: elsewhere.example").startswith(b"HTTP/1.1 400 ")
    (line,) = map(json.loads, pages.complaints.splitlines())
    assert (line["level"], line["logger"]) == ("ERROR", "django.security.DisallowedHost")
    assert "exception" not in line


def test_a_page_refuses_a_body_that_is_too_long(pages):
    assert post(pages, 4 * MEGABYTE, path="/login/").startswith(b"HTTP/1.1 413 ")
    assert pages.get("/login/").status == 200


def test_serve_without_migrations_says_what_to_do(tmp_path):
    with serving(tmp_path) as server:
        assert server.process.wait(15) == 1
        assert re.fullmatch(r"The database is not up to date: run .* migrate` first, .*\n", server.complaints)


@pytest.mark.parametrize("options", [(), ("manage.py", "serve", "--migrate")])
def test_serve_on_a_file_that_is_no_database_says_so(tmp_path, options):
    (tmp_path / "db.sqlite3").write_bytes(b"nothing" * 1000)
    with serving(tmp_path, *options) as server:
        assert server.process.wait(15) == 1
        assert server.complaints.endswith("db.sqlite3 cannot be used. The database is damaged.\n")


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
