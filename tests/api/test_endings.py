"""Answers that end before they are whole: the client is told why, in the form that it reads."""

import asyncio
import json

import pytest
from channels.testing import ApplicationCommunicator
from django.contrib.sessions.backends.db import SessionStore

from runbooks.access.actor import Actor
from runbooks.access.tokens import issue
from runbooks.api.consumers import RunDetail, RunEvents, RunSocket
from runbooks.models import Run, State
from runbooks.output import stream
from runbooks.output.entries import append_note
from runbooks.output.watch import ring
from runbooks.threads import in_thread
from tests.conftest import a_live_run, client_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def session(transactional_db, monkeypatch) -> SessionStore:
    monkeypatch.setattr(stream, "ASK_AGAIN", 0.0)
    return client_of("alice").session


@pytest.fixture
def run(transactional_db) -> Run:
    return a_live_run()


def asked(session: SessionStore, consumer: type, run: Run, *, type: str = "http", **headers: str):
    """A browser's request of one of the run's addresses."""
    cookie = f"runbookweb_session={session.session_key}"
    sent = {"host": "localhost", "origin": "http://localhost", "cookie": cookie, **headers}
    scope = {
        "type": type,
        "path": "/",
        "query_string": b"wait=60",
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        "url_route": {"kwargs": {"pk": run.pk}},
    }
    return ApplicationCommunicator(consumer.as_asgi(), scope | ({"method": "GET"} if type == "http" else {}))


async def signed_out(session: SessionStore, run: Run) -> None:
    await in_thread(session.flush)
    ring(run.folder)


async def bodies(request: ApplicationCommunicator) -> bytes:
    """All that is sent after the headers."""
    found = b""
    while (message := await request.receive_output(10))["type"] != "http.response.body" or message.get("more_body"):
        found += message.get("body", b"")
    return found


@pytest.mark.parametrize(
    ("consumer", "accept", "says"),
    [
        (RunDetail, "application/json", b'{"success": false, "error": "Send a token'),
        (RunEvents, "text/event-stream", b'event: error\ndata: {"success": false'),
        (RunEvents, "application/x-ndjson", b'{"event": "error", "data": {"success": false'),
    ],
)
async def test_who_signs_out_meanwhile_is_told_and_sees_no_more(session, run, consumer, accept, says):
    request = asked(session, consumer, run, accept=accept)
    await request.send_input({"type": "http.request", "body": b"", "more_body": False})
    assert (await request.receive_output(5))["status"] == 200
    await signed_out(session, run)
    await in_thread(append_note, run.log, "a secret")
    said = await bodies(request)
    assert says in said
    assert b"done" not in said


async def test_a_socket_is_closed_with_the_reason(session, run):
    request = asked(session, RunSocket, run, type="websocket")
    await request.send_input({"type": "websocket.connect"})
    assert (await request.receive_output(5))["type"] == "websocket.accept"
    await signed_out(session, run)
    messages = []
    while (message := await asyncio.wait_for(request.receive_output(10), 10))["type"] == "websocket.send":
        messages.append(json.loads(message["text"]))
    assert (messages[-1]["event"], messages[-1]["data"]["success"]) == ("error", False)
    assert message == {"type": "websocket.close", "code": 4401}


async def test_a_token_that_ends_closes_the_socket_and_is_the_reason(session, run):
    asking = await in_thread(a_live_run)
    token, _ = issue(Actor("alice"), run=asking.pk)
    socket = asked(session, RunSocket, run, type="websocket", authorization=f"Bearer {token}")
    await socket.send_input({"type": "websocket.connect"})
    assert (await socket.receive_output(5))["type"] == "websocket.accept"
    await in_thread(asking.move, State.RUNNING, state=State.FAILED)
    append_note(run.log, "a line")
    while (message := await socket.receive_output(5))["type"] == "websocket.send":
        continue
    assert message == {"type": "websocket.close", "code": 4401}
    await socket.wait(5)
