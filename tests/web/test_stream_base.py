"""The base of all streams, without a server between: what happens when a client leaves, or something breaks."""

import asyncio
import logging

import pytest
from channels.testing import ApplicationCommunicator
from django.contrib.sessions.backends.db import SessionStore

from runbooks.models import Run
from runbooks.output import stream as base
from runbooks.output.entries import append_note
from runbooks.output.stream import Stream
from runbooks.output.watch import Inotify, ring
from runbooks.threads import in_thread
from runbooks.web.consumers import Events
from tests.conftest import a_live_run, client_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def session(transactional_db) -> SessionStore:
    return client_of("alice").session


@pytest.fixture
def run(transactional_db) -> Run:
    return a_live_run()


def request_of(session: SessionStore, consumer: type[Stream], *, pk: int = 0) -> ApplicationCommunicator:
    cookie = f"runbookweb_session={session.session_key}".encode()
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/runs/",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"cookie", cookie)],
        "url_route": {"kwargs": {"pk": pk}},
    }
    return ApplicationCommunicator(consumer.as_asgi(), scope)


async def until_the_greeting(request: ApplicationCommunicator) -> None:
    await request.send_input({"type": "http.request", "body": b"", "more_body": False})
    assert (await request.receive_output(5))["status"] == 200
    assert (await request.receive_output(5))["body"] == Stream.greeting


async def test_a_client_that_leaves_ends_the_stream_at_once(session, run):
    request = request_of(session, Events, pk=run.pk)
    await until_the_greeting(request)
    await request.send_input({"type": "http.disconnect"})
    await request.wait(5)
    inotify = Inotify.of_this_loop()
    assert inotify is None or not inotify.watches


async def test_a_server_that_stops_ends_the_stream_at_once(session, run):
    request = request_of(session, Events, pk=run.pk)
    await until_the_greeting(request)
    request.future.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(request.future, 5)
    inotify = Inotify.of_this_loop()
    assert inotify is None or not inotify.watches


@pytest.mark.parametrize("news", [lambda run: ring(run.folder), lambda run: append_note(run.log, "a line")])
async def test_who_signs_out_sees_no_more(session, run, monkeypatch, news):
    monkeypatch.setattr(base, "ASK_AGAIN", 0.0)
    request = request_of(session, Events, pk=run.pk)
    await until_the_greeting(request)
    assert b"running" in (await request.receive_output(5))["body"]
    await in_thread(session.flush)
    news(run)
    bodies = b""
    while (message := await request.receive_output(5)).get("more_body"):
        bodies += message["body"]
    assert b"event: done" not in bodies
    await request.wait(5)


class Broken(Stream):
    def admit(self, actor):
        pass

    async def pump(self):
        await self.send_body(b"data: the first\n\n", more_body=True)
        raise RuntimeError("in the middle")


async def test_what_breaks_in_the_middle_ends_the_answer_and_is_logged(session, caplog):
    request = request_of(session, Broken)
    await until_the_greeting(request)
    assert b"the first" in (await request.receive_output(5))["body"]
    assert await request.receive_output(5) == {"type": "http.response.body", "body": b"", "more_body": False}
    await request.wait(5)
    assert "in the middle" in caplog.text


class BrokenBefore(Broken):
    def admit(self, actor):
        raise RuntimeError("before the start")


async def test_what_breaks_before_the_start_is_a_500_that_tells_nothing(session, caplog):
    caplog.set_level(logging.ERROR)
    request = request_of(session, BrokenBefore)
    await request.send_input({"type": "http.request", "body": b"", "more_body": False})
    assert (await request.receive_output(5))["status"] == 500
    assert b"before the start" not in (await request.receive_output(5))["body"]
    await request.receive_output(5)
    await request.wait(5)


class Speechless(BrokenBefore):
    def failure(self, problem):
        raise RuntimeError("while the failure was told")


async def test_what_breaks_while_a_failure_is_told_leaves_nobody_waiting(session, caplog):
    request = request_of(session, Speechless)
    await request.send_input({"type": "http.request", "body": b"", "more_body": False})
    assert (await request.receive_output(5))["status"] == 500
    assert "while the failure was told" in caplog.text
    while (await request.receive_output(5)).get("more_body"):
        continue
