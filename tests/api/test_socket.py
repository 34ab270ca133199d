"""A socket without a server between: what it says when its client may see no more."""

import pytest
from channels.testing import ApplicationCommunicator

from runbooks.access.actor import Actor
from runbooks.access.tokens import issue
from runbooks.api.consumers import RunSocket
from runbooks.execution import folder
from runbooks.models import Run, State
from runbooks.output import stream
from runbooks.output.entries import append_note
from runbooks.threads import in_thread


def a_run() -> Run:
    run = Run.objects.create(runbook="gone.md", actor="alice", timeout=600, state=State.RUNNING, source="# gone")
    folder.prepare(run.folder)
    return run


def socket_of(run: Run, token: str) -> ApplicationCommunicator:
    headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {token}".encode())]
    scope = {"type": "websocket", "path": "/", "query_string": b"", "headers": headers}
    return ApplicationCommunicator(RunSocket.as_asgi(), {**scope, "url_route": {"kwargs": {"pk": run.pk}}})


@pytest.mark.django_db(transaction=True)
async def test_a_token_that_ends_closes_the_socket_and_is_the_reason(monkeypatch):
    monkeypatch.setattr(stream, "ASK_AGAIN", 0.0)
    run, asking = await in_thread(a_run), await in_thread(a_run)
    socket = socket_of(run, issue(Actor("alice"), run=asking.pk)[0])
    await socket.send_input({"type": "websocket.connect"})
    assert (await socket.receive_output(5))["type"] == "websocket.accept"
    await in_thread(asking.move, State.RUNNING, state=State.FAILED)
    append_note(run.log, "a line")
    while (message := await socket.receive_output(5))["type"] == "websocket.send":
        continue
    assert message == {"type": "websocket.close", "code": 4401}
    await socket.wait(5)
