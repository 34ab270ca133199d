"""The base of every streamed answer: what a bare AsyncHttpConsumer leaves open is closed here, once.

The pump is a task: a client that leaves and a server that stops cancel it at once, and its `finally` runs. No exception
escapes after the answer has begun. Consumers bypass Django's middleware, so Host, method and access are checked here.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from channels.generic.http import AsyncHttpConsumer
from django.conf import settings
from django.http import Http404, parse_cookie
from django.http.request import split_domain_port, validate_host

from runbooks.access.actor import Actor
from runbooks.access.identify import actor_of_session
from runbooks.threads import in_thread
from runbookweb import correlation, metrics

HEADERS = [
    (b"Cache-Control", b"no-cache, no-store, no-transform"),
    (b"X-Accel-Buffering", b"no"),
    (b"X-Content-Type-Options", b"nosniff"),
    (b"Referrer-Policy", b"same-origin"),
]
ASK_AGAIN = 30.0  # seconds after which a stream asks whether its viewer may still see it
logger = logging.getLogger(__name__)


class Refusal(Exception):
    """The stream cannot be given; a status and a sentence, instead of the answer."""

    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status = status


class Stream(AsyncHttpConsumer):
    """One streamed answer to a GET; subclasses fetch what they stream in `admit` and send it in `pump`."""

    content_type = b"text/event-stream; charset=utf-8"
    greeting = b": welcome\n\n"  # Daphne sends no header before the first byte of the body

    def admit(self, actor: Actor) -> None:
        """Fetch what is asked for, in a thread; raises Http404 if this actor may not see it. Called again and again."""
        raise NotImplementedError

    async def pump(self) -> None:
        """Send the answer's body with send_body(..., more_body=True)."""
        raise NotImplementedError

    async def __call__(self, scope: dict[str, Any], receive: Callable, send: Callable) -> None:
        self.scope, self.base_send = scope, send
        self.has_begun = False
        self.asked_at = time.monotonic()
        self.correlation_id = correlation.begin(self._header(correlation.HEADER.lower().encode()))
        answer = asyncio.create_task(self._answer())
        gone = asyncio.create_task(_until_gone(receive))
        try:
            await asyncio.wait((answer, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            answer.cancel()
            gone.cancel()
            await asyncio.gather(answer, gone, return_exceptions=True)

    async def send_headers(self, *, status: int = 200, headers: list[tuple[bytes, bytes]]) -> None:
        """Begin the answer; it is counted and marked here, as middleware does it for pages."""
        metrics.count_request(method=self.scope["method"], route=type(self).__name__, status=status)
        own = (correlation.HEADER.encode(), self.correlation_id.encode())
        await super().send_headers(status=status, headers=[*headers, own])

    async def may_go_on(self) -> bool:
        """Whether the viewer may still see this; asks once in a while. A sign-out or a lost role ends a stream."""
        if time.monotonic() - self.asked_at > ASK_AGAIN:
            self.asked_at = time.monotonic()
            try:
                await in_thread(self._admit)
            except (Refusal, Http404):
                return False
        return True

    async def _answer(self) -> None:
        try:
            await self._begin()
            with metrics.READERS.track_inprogress():
                await self.pump()
        except Refusal as refusal:
            await self._refuse(refusal.status, str(refusal))
        except Http404:
            await self._refuse(404, "There is nothing here that you may see.")
        except Exception:
            logger.exception("A stream of %s broke", self.scope["path"])
            if not self.has_begun:
                await self._refuse(500, "Something went wrong here; the server's log says what.")
        with contextlib.suppress(Exception):
            await self.send_body(b"")

    async def _begin(self) -> None:
        if self.scope["method"] != "GET":
            raise Refusal(405, "This address can only be read, with GET.")
        host = self._header(b"host")
        if not validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS):
            raise Refusal(400, "This server does not answer under that host name.")
        await in_thread(self._admit)
        await self.send_headers(headers=[(b"Content-Type", self.content_type), *HEADERS])
        self.has_begun = True
        await self.send_body(self.greeting, more_body=True)

    def _admit(self) -> None:
        session = import_module(settings.SESSION_ENGINE).SessionStore(
            parse_cookie(self._header(b"cookie")).get(settings.SESSION_COOKIE_NAME)
        )
        actor = actor_of_session(session)
        if actor is None:
            # Never a redirect: a reader would take the sign-in page for the stream, and ask again for ever.
            raise Refusal(401, "Sign in first.")
        self.admit(actor)

    async def _refuse(self, status: int, sentence: str) -> None:
        self.has_begun = True
        headers = [(b"Content-Type", b"text/plain; charset=utf-8"), *HEADERS]
        await self.send_headers(status=status, headers=headers + ([(b"Allow", b"GET")] if status == 405 else []))
        await self.send_body(sentence.encode(), more_body=True)

    def _header(self, name: bytes) -> str:
        return next((value.decode("latin-1") for key, value in self.scope["headers"] if key == name), "")


async def _until_gone(receive: Callable) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
