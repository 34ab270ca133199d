"""Runs for programs: executed, followed, polled, downloaded; every form is a thin encoder around one reader."""

import asyncio
import contextlib
import json
from collections.abc import Iterable, Iterator

from django.conf import settings
from django.urls import path

from runbooks.access.actor import Actor
from runbooks.api.as_json import run_json, with_output
from runbooks.api.bodies import read_body
from runbooks.api.errors import MOST_BYTES, ApiError
from runbooks.api.schemas import ExecuteBody
from runbooks.api.streams import RunStream
from runbooks.execution import control
from runbooks.library import run_for, runbook_for
from runbooks.output.download import LogText
from runbooks.output.encode import Encoder, Events, JsonLines, Whole, json_bytes
from runbooks.output.follow import Part, Reader
from runbooks.output.stream import Failure
from runbooks.threads import in_thread, in_writing_thread

LONGEST_WAIT = 300  # seconds
MOST_NAMES = 200  # in an X-Recursion-Stack


class Followed(RunStream):
    """What a run prints, as it comes, and how it ended."""

    after = 0

    async def pump(self) -> None:
        reader = Reader(self.run, after=self.after)
        async with contextlib.aclosing(reader.follow()) as parts:
            async for part in parts:
                await self._send_part(part)
                await self.admit_again()
        self.run = reader.run
        await self.send_pieces(self.encoder.done(self.ending(reader.offset), offset=reader.offset))

    def ending(self, end: int) -> Iterable[bytes]:
        """What the end says of the run."""
        return [json_bytes(run_json(self.run))]

    def messages(self, part: Part) -> tuple[bytes, ...]:
        """These log lines as they are sent: the same bytes to all who read them in this form."""
        return part.once(type(self.encoder), lambda: (b"".join(self.encoder.output(part)),))

    async def _send_part(self, part: Part) -> None:
        if not part.data:
            await self.send_heartbeat()
        for message in filter(None, self.messages(part)):
            await self.send_body(message, more_body=True)


class Execute(Followed):
    """Start a run and answer with it, in the form that the client asks for; that it leaves changes nothing."""

    methods = ("POST",)
    most_body = MOST_BYTES

    async def open(self) -> None:
        # The form first: what is wrong with it must not be found when the run has begun.
        if "respond-async" in self.header(b"prefer").lower():
            self.status = 202
        elif settings.EXECUTION_STREAMING_ENABLED:
            wants_stream = self.query.get("stream", "").lower() in ("true", "1")
            self.encoder = self.preferred(*([] if wants_stream else [Whole]), Events, JsonLines)
        await in_writing_thread(self._start, await self.request_body())

    def identify(self) -> Actor:
        # Once: a token that ends while its run goes on must not cut the answer.
        return self.token.actor if self.token else super().identify()

    def admit(self, actor: Actor) -> None:
        self.run = run_for(actor, self.run.pk)

    async def pump(self) -> None:
        if self.status == 202:
            await self.send_body(json_bytes(await in_thread(run_json, self.run)), more_body=True)
        else:
            await super().pump()

    def ending(self, end: int) -> Iterator[bytes]:
        return with_output(self.run, run_json(self.run), after=0, end=end)

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
            reason=asked.reason,
            address=(self.scope.get("client") or ("",))[0],
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
    encoder = JsonLines()

    def preferred(self, *encoders: type[Encoder]) -> Encoder:
        return self.encoder

    def may_use_session(self) -> bool:
        # Browsers let every site's pages open and read sockets to any other, and send the cookies along.
        return self.header(b"origin").partition("://")[2] == self.header(b"host") != ""

    def failure(self, problem: Exception) -> Failure:
        failure = super().failure(problem)
        self.code = 4000 + failure.status
        return failure

    async def answer_failure(self, failure: Failure) -> None:
        await self.send_headers(status=failure.status, headers=[])
        await self.break_off(failure)

    async def send_headers(self, *, status: int = 200, headers: list[tuple[bytes, bytes]]) -> None:
        self.has_begun_with(status)
        await self.send({"type": "websocket.accept"})

    def messages(self, part: Part) -> tuple[bytes, ...]:
        return part.once(type(self), lambda: tuple(self.encoder.output(part)))

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
        self.wait = _wait(self.query.get("wait") or "0")

    async def pump(self) -> None:
        reader = Reader(self.run)
        try:
            reader.offset = reader.end() if self.after is None else self.after
            if self.wait:
                await self._until_news(reader)
            end = reader.end()
        finally:
            reader.close()
        stands = await in_thread(run_json, reader.run)
        if self.after is None:
            await self.send_pieces([json_bytes(stands)])
        else:
            await self.send_pieces(with_output(reader.run, stands, after=self.after, end=end))

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

    async def break_off(self, failure: Failure) -> None:
        """Nothing is added to what is told to be the log."""


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
