"""Daphne's gaps stay closed: real processes and sockets, which fail on plain Daphne (set PLAIN_DAPHNE to see it)."""

import http.client
import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import MEGABYTE, Process, post, read_all, running, until

FLOOD = 200 * MEGABYTE // 65536 * 65536


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Process]:
    plain = ["plain"] if os.environ.get("PLAIN_DAPHNE") else []
    with running("-W", "error", "-m", "tests.server_apps", *plain, stdout=tmp_path / "out") as server:
        assert server.will_say("\n")
        server.port = int(server.stdout.read_text().split()[1])
        yield server


def size_of_all(response: http.client.HTTPResponse) -> int:
    return sum(len(part) for part in iter(lambda: response.read(MEGABYTE), b""))


HANDSHAKE = {
    b"Host": b"localhost",
    b"Upgrade": b"websocket",
    b"Connection": b"Upgrade",
    b"Sec-WebSocket-Version": b"13",
    b"Sec-WebSocket-Key": b"dGhlIHNhbXBsZSBub25jZQ==",
}


def ask_for_socket(server: Process, path: bytes = b"/echo", *, method: bytes = b"GET", **headers: bytes):
    """Send a handshake with these headers (an underscore is a hyphen); one that is empty is left out."""
    asked = HANDSHAKE | {name.replace("_", "-").encode(): value for name, value in headers.items()}
    lines = [b"%s: %s" % header for header in asked.items() if header[1]]
    return server.send(b"\r\n".join([b"%s %s HTTP/1.1" % (method, path), *lines, b"", b""]))


def open_socket(server: Process, **headers: bytes) -> socket.socket:
    """A WebSocket, after its handshake."""
    client = ask_for_socket(server, **headers)
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


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_long_is_refused_and_costs_no_memory(server, chunked):
    before = server.state()["peak"]
    answer = post(server, 100 * MEGABYTE, chunked=chunked)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.endswith(b"\r\n\r\nThe request is too long: send no more than 3145728 bytes.\n")
    assert server.state()["peak"] - before < 5 * MEGABYTE


@pytest.mark.parametrize("path", ["/api/length", "/dev-login", "/dev-login?a=/", "/%61pi/length?a"])
def test_a_program_reads_in_json_that_its_body_is_too_long(server, path):
    head, body = post(server, 4 * MEGABYTE, path=path).split(b"\r\n\r\n")
    assert b"Content-Type: application/json\r\n" in head
    sentence = "The request is too long: send no more than 3145728 bytes."
    assert json.loads(body) == {"success": False, "error": sentence}


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


def test_a_socket_opens_whatever_subprotocol_the_client_asks_for(server):
    client = open_socket(server, Sec_WebSocket_Protocol=b"graphql-ws, \xff")
    client.sendall(frame(b"hello"))
    assert client.recv(100) == b"\x81\x05hello"


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (400, {"Sec_WebSocket_Key": b""}),
        (400, {"Sec_WebSocket_Key": b"short"}),
        (400, {"Sec_WebSocket_Version": b"x"}),
        (400, {"Sec_WebSocket_Version": b"99"}),
        (400, {"Connection": b""}),
        (400, {"Host": b""}),
        (400, {"Origin": b"\xff"}),
        (405, {"method": b"POST"}),
    ],
)
def test_a_handshake_that_is_none_is_refused_and_harms_nobody(server, status, headers):
    assert read_all(ask_for_socket(server, **headers)).startswith(b"HTTP/1.1 %d " % status)
    open_socket(server).close()
    assert server.will_say("socket ended")
    assert server.stop() == 0
    assert "daphne" not in server.complaints


def test_a_handshake_that_is_never_answered_holds_up_nobody(server):
    waiting, leaving = (ask_for_socket(server, b"/hesitate") for _ in range(2))
    until(lambda: server.stdout.read_text().count("socket asked for") == 2)
    leaving.close()
    assert server.will_say("hesitation ended")  # Daphne's reaper has come for who left
    assert server.stop() == 0
    assert waiting.recv(1) == b""


def test_a_socket_s_client_that_leaves_releases_the_waiting_writer(server):
    client = open_socket(server)
    client.sendall(frame(b"flood"))
    until(server.stalled)
    client.close()
    assert server.will_say("socket ended")
    assert server.state()["offered"] == FLOOD


def test_a_stop_says_farewell_to_open_sockets_and_waits_for_none(server):
    talking, silent = open_socket(server), open_socket(server)
    silent.sendall(frame(b"flood"))
    until(server.stalled)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(2) == 0
    assert read_all(talking) == b"\x88\x02\x03\xe9"


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
