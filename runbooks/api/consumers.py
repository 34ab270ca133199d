"""Runs for programs: executed, followed, polled, downloaded; every form is a thin encoder around one reader."""

import asyncio
import contextlib
import json
import time
from collections.abc import Iterable, Iterator

from django.conf import settings
from django.http import QueryDict
from django.http.request import HttpRequest
from django.urls import path

from runbooks.access.actor import Actor
from runbooks.access.identify import asker, session_of
from runbooks.access.tokens import Token
from runbooks.api.answers import run_json, with_output
from runbooks.api.errors import MOST_BYTES, ApiError, body_of, failure_of
from runbooks.api.schemas import ExecuteBody, read_body
from runbooks.execution import control
from runbooks.library import run_for, runbook_for
from runbooks.output.download import LogText
from runbooks.output.encode import Encoder, Events, JsonLines, Whole, json_bytes
from runbooks.output.entries import is_line_start
from runbooks.output.follow import Part, Reader
from runbooks.output.stream import Failure, Refusal, Stream
from runbooks.output.text import texts
from runbooks.threads import in_thread

SILENCE = 1.0  # seconds
ENOUGH = 64 * 1024  # bytes that are worth a message of their own
LONGEST_WAIT = 300  # seconds
MOST_NAMES = 200  # in an X-Recursion-Stack


class ApiStream(Stream):
    """An answer to who sends a bearer token, or reads with a browser's session; its failures are JSON."""

    encoder: Encoder = Whole()
    token: Token | None = None

    @property
    def content_type(self) -> bytes:
        return self.encoder.content_type

    @property
    def greeting(self) -> bytes:
        return self.encoder.greeting

    @property
    def query(self) -> QueryDict:
        return QueryDict(self.scope["query_string"])

    def identify(self) -> Actor:
        """Who asks; raises BadToken."""
        session = session_of(self.header(b"cookie")) if self.may_use_session() else None
        self.token = asker(self.header(b"authorization"), session)
        return self.token.actor

    def may_use_session(self) -> bool:
        """Whether a browser's cookie is enough: another site's page cannot read what it makes a browser ask for."""
        return self.method == "GET"

    def failure(self, problem: Exception) -> Failure:
        if isinstance(problem, Refusal):
            error = ApiError(problem.status, str(problem))
            return Failure(error.status, json_bytes(body_of(error)), b"application/json", problem.headers)
        error = failure_of(problem)
        headers = tuple((name.encode(), value.encode()) for name, value in error.headers.items())
        return Failure(error.status, json_bytes(body_of(error)), b"application/json", headers)

    def preferred(self, *encoders: type[Encoder]) -> Encoder:
        """The form that the client would rather have; the first if it does not say."""
        types = {encoder.content_type.decode().partition(";")[0]: encoder for encoder in encoders}
        request = HttpRequest()
        request.META["HTTP_ACCEPT"] = self.header(b"accept") or "*/*"
        return types.get(request.get_preferred_type(list(types)), encoders[0])()

    async def send_heartbeat(self) -> None:
        """Break a silence that a proxy might take for the end; called every two seconds and when there are news."""
        if time.monotonic() - self.sent_at > SILENCE:
            await self.send_body(self.encoder.heartbeat, more_body=True)

    async def send_pieces(self, pieces: Iterable[bytes]) -> None:
        """Send these bytes in messages of a size that is worth sending."""
        message = b""
        for piece in pieces:
            message += piece
            if len(message) >= ENOUGH:
                await self.send_body(message, more_body=True)
                message = b""
            await asyncio.sleep(0)  # a large log must not hold up the others, also where nothing of it is sent
        await self.send_body(message, more_body=True)


class RunStream(ApiStream):
    """An answer about one run, for who may see it."""

    def admit(self, actor: Actor) -> None:
        self.run = run_for(actor, self.scope["url_route"]["kwargs"]["pk"])

    def offset(self, asked: str, *, name: str) -> int:
        """An offset of this run's log; raises ApiError if nobody can have been given it."""
        is_number = asked.isascii() and asked.isdigit() and len(asked) < 16
        if not is_number or not is_line_start(self.run.log, int(asked)):
            advice = "send one that you were given, or none to begin at the beginning."
            raise ApiError(400, f"{name}: {asked[:20]!r} is no offset of this run's log; {advice}")
        return int(asked)


class Followed(RunStream):
    """What a run prints, as it comes, and how it ended."""

    after = 0

    async def pump(self) -> None:
        reader = Reader(self.run, after=self.after)
        async for part in reader.follow():
            await self._send_part(part)
            await self.admit_again()
        self.run = reader.run
        await self.send_pieces(self.encoder.done(self.answer(reader.offset), offset=reader.offset))

    def answer(self, end: int) -> Iterable[bytes]:
        """What the end says of the run."""
        return [json_bytes(run_json(self.run))]

    async def _send_part(self, part: Part) -> None:
        if not part.data:
            await self.send_heartbeat()
        for piece in texts(part.data, start=part.start):
            if output := self.encoder.output(piece):
                await self.send_body(output, more_body=True)


class Execute(Followed):
    """Start a run and answer with it, in the form that the client asks for; that it leaves changes nothing."""

    methods = ("POST",)
    most_body = MOST_BYTES

    async def open(self) -> None:
        body = await self.request_body()
        await in_thread(self._start, body)
        if "respond-async" in self.header(b"prefer").lower():
            self.status = 202
        elif settings.EXECUTION_STREAMING_ENABLED:
            wants_stream = self.query.get("stream", "").lower() in ("true", "1")
            self.encoder = self.preferred(*([] if wants_stream else [Whole]), Events, JsonLines)

    def identify(self) -> Actor:
        # Once: a token that ends while its run goes on must not cut the answer.
        return self.token.actor if self.token else super().identify()

    def admit(self, actor: Actor) -> None:
        self.run = run_for(actor, self.run.pk)

    async def pump(self) -> None:
        if self.status == 202:
            await self.send_body(json_bytes(run_json(self.run)), more_body=True)
        else:
            await super().pump()

    def answer(self, end: int) -> Iterator[bytes]:
        return with_output(self.run, after=0, end=end)

    def more_headers(self) -> list[tuple[bytes, bytes]]:
        return [(b"Location", b"/api/runs/%d" % self.run.pk)]

    def _start(self, body: bytes) -> None:
        actor = self.identify()
        asked = read_body(self.header(b"content-type"), body, ExecuteBody)
        self.run = control.start_run(
            actor,
            runbook_for(actor, self.scope["url_route"]["kwargs"]["rb"]),
            values=asked.env_vars,
            is_confirmed=asked.confirm,
            parent=self.token.run,
            stack=_stack(self.header(b"x-recursion-stack")),
            key=self.header(b"idempotency-key"),
        )


class RunEvents(Followed):
    """A run from an offset on, as Server-Sent Events or as lines of JSON."""

    async def open(self) -> None:
        self.encoder = self.preferred(Events, JsonLines)
        await super().open()
        # The header is newer than the address, which stays what it was at first.
        for name, asked in (("Last-Event-ID", self.header(b"last-event-id")), ("after", self.query.get("after"))):
            if asked:
                self.after = await in_thread(self.offset, asked, name=name)
                return


class RunSocket(RunEvents):
    """The same over a WebSocket: each object is a message, and the socket's close says how it went.

    A failure is a message `{"event": "error", "data": …}` and the code 4000 plus its status, for browsers tell their
    pages nothing of an answer in place of a socket.
    """

    code = 1000

    async def open(self) -> None:
        await super().open()
        self.encoder = JsonLines()

    def may_use_session(self) -> bool:
        # Browsers let every site's pages open and read sockets to any other, and send the cookies along.
        return self.header(b"origin").partition("://")[2] == self.header(b"host") != ""

    def failure(self, problem: Exception) -> Failure:
        failure = super().failure(problem)
        self.code = 4000 + failure.status
        return Failure(failure.status, b'{"event": "error", "data": %b}' % failure.body)

    async def send_headers(self, *, status: int = 200, headers: list[tuple[bytes, bytes]]) -> None:
        self.has_begun_with(status)
        await self.send({"type": "websocket.accept"})

    async def send_pieces(self, pieces: Iterable[bytes]) -> None:
        await self.send_body(b"".join(pieces), more_body=True)  # in two messages, it would be no JSON in either

    async def send_body(self, body: bytes, *, more_body: bool = False) -> None:
        if more_body:
            await self.send({"type": "websocket.send", "text": body.decode()})
        else:
            await self.send({"type": "websocket.close", "code": self.code})


class RunDetail(RunStream):
    """A run as it stands; `?after=` adds its output since, and `?wait=` waits for news, or for the end."""

    after: int | None = None
    wait = 0

    async def open(self) -> None:
        await super().open()
        if asked := self.query.get("after"):
            self.after = await in_thread(self.offset, asked, name="after")
        self.wait = _wait(self.query.get("wait", "0"))

    async def pump(self) -> None:
        reader = Reader(self.run)
        try:
            reader.offset = reader.end() if self.after is None else self.after
            if self.wait:
                await self._until_news(reader)
            end = reader.end()
        finally:
            reader.close()
        if self.after is None:
            await self.send_pieces([json_bytes(run_json(reader.run))])
        else:
            await self.send_pieces(with_output(reader.run, after=self.after, end=end))

    async def _until_news(self, reader: Reader) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.wait), contextlib.aclosing(reader.follow()) as parts:
                async for part in parts:
                    if part.data and self.after is not None:
                        return
                    await self.admit_again()
                    await self.send_heartbeat()


class RunLog(LogText, RunStream):
    """The whole log as its file has it."""


def _stack(asked: str) -> tuple[str, ...]:
    """The runbooks within which this one would run, as an X-Recursion-Stack names them; raises ApiError."""
    if not asked:
        return ()
    try:
        names = json.loads(asked) if asked.startswith("[") else [name.strip() for name in asked.split(",")]
    except (ValueError, RecursionError):
        names = None
    # Half a surrogate pair is no printable character; the answer that names it could not be sent.
    are_names = isinstance(names, list) and all(isinstance(name, str) and name.isprintable() for name in names)
    if not are_names or len(names) > MOST_NAMES:
        raise ApiError(400, f"X-Recursion-Stack: it must be a JSON list of at most {MOST_NAMES} names of runbooks.")
    return tuple(names)


def _wait(asked: str) -> int:
    if not asked.isascii() or not asked.isdigit() or len(asked) > 6 or int(asked) > LONGEST_WAIT:
        raise ApiError(400, f"wait: it must be a whole number of seconds from 0 to {LONGEST_WAIT}.")
    return int(asked)


urlpatterns = [
    path("api/runbooks/<path:rb>/execute", Execute.as_asgi(), name="api-execute"),
    path("api/runs/<int:pk>", RunDetail.as_asgi(), name="api-run"),
    path("api/runs/<int:pk>/events", RunEvents.as_asgi(), name="api-events"),
    path("api/runs/<int:pk>/log", RunLog.as_asgi(), name="api-log"),
]
sockets = [path("api/runs/<int:pk>/socket", RunSocket.as_asgi(), name="api-socket")]
