"""A stop in the middle of everything: the server ends at once and says farewell, and the scripts do not notice."""

import contextlib
import http.client
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import runbook_source
from tests.faults.person import signed_in_person
from tests.processes import Process, read_all, until
from tests.serving import Site, answer_of, signed_in

COUNT = "n=0; until [ -e {} ]; do n=$((n + 1)); echo line $n; sleep 0.02; done"
FAREWELL = b"\x88\x02\x03\xe9"  # a WebSocket's close frame: going away
UPGRADE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@pytest.fixture
def server(site: Site, go) -> Iterator[Process]:
    """A server whose first run prints a line 50 times a second, until the test is over."""
    (site.runbooks / "count.md").write_text(runbook_source(name="count", script=COUNT.format(go)))
    with site.serving(LOGGING_LEVEL="WARNING") as server:
        assert signed_in(server, "sre").execute("count.md")[0] == 202
        until(lambda: "line 1" in site.printed(1))
        yield server


def streams(server: Process, count: int) -> dict[str, list[socket.socket]]:
    """So many streams of each kind, each with a line that it has sent."""
    program = f"Authorization: {signed_in(server, 'sre').authorization}\r\n".encode()
    person = f"Cookie: runbookweb_session={signed_in_person(server).cookies['runbookweb_session']}\r\n".encode()
    asked = {
        "fragments": (b"/runs/1/events/", person),
        "events": (b"/api/runs/1/events", program),
        "lines": (b"/api/runs/1/events", program + b"Accept: application/x-ndjson\r\n"),
        "sockets": (b"/api/runs/1/socket", program + UPGRADE),
        "answers": (b"/api/runs/1?wait=300", program),
    }
    request = b"GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n"
    opened = {kind: [server.send(request % each) for _ in range(count)] for kind, each in asked.items()}
    for kind, clients in opened.items():
        for client in clients:
            seen = b""
            while (b"line" if kind != "answers" else b"\r\n\r\n") not in seen:
                seen += (part := client.recv(65536))
                assert part, seen
    return opened


@pytest.mark.alone
def test_fifty_streams_and_half_a_request_do_not_hold_up_a_stop_and_the_script_goes_on(server, site, go):
    opened = streams(server, 10)
    halves = [
        server.send(b"POST /api/runbooks/count.md/execute HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"),
        server.send(b"GET /runs/ HTTP/1.1\r\nHost: loc"),
        server.send(b""),
    ]
    assert len([client for clients in opened.values() for client in clients]) == 50
    pages = [server.send(b"GET /login/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n") for _ in range(10)]
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 2
    ends = {kind: [read_all(client) for client in clients] for kind, clients in opened.items()}
    assert all(end.endswith(FAREWELL) for end in ends["sockets"])
    assert [read_all(half) for half in halves] == [b""] * 3
    assert all(page.endswith(b"</html>\n") or not page for page in map(read_all, pages))
    assert (server.complaints, site.query("state")) == ("", [("running",)])
    goes_on_until_the_next_server_settles_it(site, go)


def goes_on_until_the_next_server_settles_it(site: Site, go: Path) -> None:
    printed = len(site.printed(1))
    until(lambda: len(site.printed(1)) > printed)
    go.touch()
    with site.serving():
        until(lambda: site.query("state, return_code") == [("succeeded", 0)])
    numbers = [int(line.split()[-1]) for line in site.printed(1).splitlines()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_whoever_is_told_of_a_run_at_the_last_moment_finds_it_at_the_next_server(server, site):
    program = signed_in(server, "sre")
    path = "/api/runbooks/count.md/execute"
    asked = [program.ask("POST", path, {"env_vars": {}}, Prefer="respond-async") for _ in range(8)]
    until(lambda: len(site.query("id")) > 2)
    assert server.stop() == 0
    told = [run for connection in asked for run in runs_told(connection)]
    assert told
    assert {(run,) for run in told} < set(site.query("id"))
    with site.serving():
        until(lambda: {state for (state,) in site.query("state")} == {"running"})


def runs_told(connection: http.client.HTTPConnection) -> Iterator[int]:
    """The run that a request was told to have started, if it was told of one."""
    with contextlib.suppress(http.client.HTTPException, ConnectionError):
        status, said = answer_of(connection)
        assert status == 202
        yield said["run_id"]
