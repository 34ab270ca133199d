"""The base of every streamed answer: what a bare AsyncHttpConsumer leaves open is closed here, once.

The pump is a task: a client that leaves and a server that stops cancel it at once, and its `finally` runs. No exception
escapes after the answer has begun. Consumers bypass Django's middleware, so Host, method and access are checked here.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from channels.generic.http import AsyncHttpConsumer
from django.conf import settings
from django.http import Http404
from django.http.request import split_domain_port, validate_host

from runbooks.access.actor import Actor
from runbooks.access.identify import actor_of_session, session_of
from runbooks.access.tokens import NoKeys
from runbooks.threads import in_thread
from runbookweb import correlation, database, metrics

HEADERS = [
    (b"Cache-Control", b"no-cache, no-store, no-transform"),
    (b"X-Accel-Buffering", b"no"),
    (b"X-Content-Type-Options", b"nosniff"),
    (b"Referrer-Policy", b"same-origin"),
]
ASK_AGAIN = 30.0  # seconds after which a stream asks whether its viewer may still see it
TEXT = b"text/plain; charset=utf-8"
UNKNOWN = b"Something went wrong here; the server's log says what."
logger = logging.getLogger(__name__)


class Refusal(Exception):
    """The stream cannot be given; a status and a sentence, instead of the answer."""

    def __init__(self, status: int, sentence: str, *, headers: tuple[tuple[bytes, bytes], ...] = ()):
        super().__init__(sentence)
        self.status, self.headers = status, headers


@dataclass(frozen=True)
class Failure:
    """The answer in place of the stream."""

    status: int
    body: bytes
    content_type: bytes = TEXT
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Stream(AsyncHttpConsumer):
    """One streamed answer; subclasses fetch what they stream in `admit` and send it in `pump`."""

    methods: tuple[str, ...] = ("GET",)
    status = 200
    content_type = b"text/event-stream; charset=utf-8"
    greeting = b": welcome\n\n"  # sent even if it is empty: Daphne holds the headers back until there is a body
    most_body = 0  # bytes that a request may bring along

    def identify(self) -> Actor:
        """Who asks, in a thread; raises Refusal."""
        actor = actor_of_session(session_of(self.header(b"cookie")))
        if actor is None:
            # Never a redirect: a reader would take the sign-in page for the stream, and ask again for ever.
            raise Refusal(401, "Sign in first.")
        return actor

    def admit(self, actor: Actor) -> None:
        """Fetch what is asked for, in a thread; raises Http404 if this actor may not see it. Called again and again."""
        raise NotImplementedError

    async def open(self) -> None:
        """Find out who asks for what, before anything is answered; raises what `failure` makes an answer of."""
        await in_thread(self._admit)

    async def pump(self) -> None:
        """Send the answer's body with send_body(..., more_body=True)."""
        raise NotImplementedError

    def failure(self, problem: Exception) -> Failure:
        """The answer that a problem is told with, before anything else has been answered."""
        if isinstance(problem, Refusal):
            return Failure(problem.status, str(problem).encode(), headers=problem.headers)
        if isinstance(problem, Http404):
            return Failure(404, b"There is nothing here that you may see.")
        if sentence := database.trouble(problem):
            logger.error("The database did not take a stream of %s", self.scope["path"], exc_info=problem)
            return Failure(503, sentence.encode(), headers=((b"Retry-After", database.RETRY_AFTER.encode()),))
        logger.error("A stream of %s broke", self.scope["path"], exc_info=problem)
        return Failure(500, UNKNOWN)

    async def __call__(self, scope: dict[str, Any], receive: Callable, send: Callable) -> None:
        self.scope, self.base_send = scope, send
        self.has_begun = False
        self.sent_at = time.monotonic()
        # Not all at once, when hundreds have come at once.
        self.asked_at = self.sent_at - random.random() * ASK_AGAIN / 2  # noqa: S311
        self.received = asyncio.get_running_loop().create_future()
        self.correlation_id = correlation.begin(self.header(correlation.HEADER.lower().encode()))
        answer = asyncio.create_task(self._answer())
        gone = asyncio.create_task(self._until_gone(receive))
        try:
            await asyncio.wait((answer, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            answer.cancel()
            gone.cancel()
            await asyncio.gather(answer, gone, return_exceptions=True)
            self.received.cancel()

    async def send(self, message: dict[str, Any]) -> None:
        self.sent_at = time.monotonic()
        await super().send(message)

    async def send_headers(self, *, status: int = 200, headers: list[tuple[bytes, bytes]]) -> None:
        """Begin the answer, marked as middleware does it for pages."""
        self.has_begun_with(status)
        own = (correlation.HEADER.encode(), self.correlation_id.encode())
        await super().send_headers(status=status, headers=[*headers, own])

    def has_begun_with(self, status: int) -> None:
        """From now on, nothing else can be answered."""
        self.has_begun = True
        metrics.count_request(method=self.method, route=type(self).__name__, status=status)

    async def request_body(self) -> bytes:
        """What the request brings along, once all of it is there; raises Refusal if it is too long."""
        if await self.received is None:
            raise Refusal(413, f"The body has more than {self.most_body} bytes; send less.")
        return self.received.result()

    async def admit_again(self) -> None:
        """Ask once in a while whether the viewer may still see this: a sign-out or a lost role ends a stream."""
        if time.monotonic() - self.asked_at > ASK_AGAIN:
            self.asked_at = time.monotonic()
            with contextlib.suppress(NoKeys):  # a provider that is down does not end what it has allowed
                await in_thread(self._admit)

    @property
    def method(self) -> str:
        return self.scope.get("method", "GET")  # a WebSocket's request has none

    def header(self, name: bytes) -> str:
        """The value of the request's header with this name in lower case, or nothing."""
        return next((value.decode("latin-1") for key, value in self.scope["headers"] if key == name), "")

    def more_headers(self) -> list[tuple[bytes, bytes]]:
        return []

    async def _answer(self) -> None:
        try:
            self.check_request()
            await self.open()
            headers = [(b"Content-Type", self.content_type), *HEADERS, *self.more_headers()]
            await self.send_headers(status=self.status, headers=headers)
            await self.send_body(self.greeting, more_body=True)
            with metrics.READERS.track_inprogress():
                await self.pump()
        except Exception as problem:
            await self._end_with(problem)
        with contextlib.suppress(Exception):
            await self.send_body(b"")

    async def answer_failure(self, failure: Failure) -> None:
        """Answer with this instead of the stream."""
        headers = [(b"Content-Type", failure.content_type), *HEADERS, *failure.headers]
        await self.send_headers(status=failure.status, headers=headers)
        await self.send_body(failure.body, more_body=True)

    async def break_off(self, failure: Failure) -> None:
        """Say why the answer ends before it is whole, if its form has a way to."""

    async def _end_with(self, problem: Exception) -> None:
        try:
            failure = self.failure(problem)
            await (self.break_off(failure) if self.has_begun else self.answer_failure(failure))
        except Exception:
            # Without an answer, the client would wait for ever.
            logger.exception("The end of a stream of %s could not be told", self.scope["path"])
            if not self.has_begun:
                await self.answer_failure(Failure(500, UNKNOWN))

    def check_request(self) -> None:
        """Refuse a method or a host that is not served; raises Refusal."""
        if self.method not in self.methods:
            allowed = ", ".join(self.methods)
            sentence = f"This address cannot be asked with {self.method}; use {allowed}."
            raise Refusal(405, sentence, headers=((b"Allow", allowed.encode()),))
        if not validate_host(split_domain_port(self.header(b"host"))[0], settings.ALLOWED_HOSTS):
            raise Refusal(400, "This server does not answer under that host name.")

    def _admit(self) -> None:
        self.admit(self.identify())

    async def _until_gone(self, receive: Callable) -> None:
        body = b""
        while not (message := await receive())["type"].endswith(".disconnect"):
            body += message.get("body", b"")[: self.most_body + 1 - len(body)]
            if not message.get("more_body") and not self.received.done():
                self.received.set_result(body if len(body) <= self.most_body else None)
