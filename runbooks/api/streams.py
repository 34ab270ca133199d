"""The base of what programs are answered about a run: who asks, in which form, and how a failure is told."""

import asyncio
import time
from collections.abc import Iterable

from django.http import QueryDict
from django.http.request import HttpRequest

from runbooks.access.actor import Actor
from runbooks.access.identify import asker, session_of
from runbooks.access.tokens import Token
from runbooks.api.errors import ApiError, body_of, failure_of
from runbooks.library import run_for
from runbooks.output.encode import Encoder, Whole, json_bytes
from runbooks.output.entries import offset_of
from runbooks.output.stream import Failure, Refusal, Stream

SILENCE = 1.0  # seconds
ENOUGH = 64 * 1024  # bytes that are worth a message of their own


class RunStream(Stream):
    """An answer about one run, for who sends a bearer token, or reads with a browser's session; failures are JSON."""

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

    def admit(self, actor: Actor) -> None:
        self.run = run_for(actor, self.scope["url_route"]["kwargs"]["pk"])

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

    async def break_off(self, failure: Failure) -> None:
        await self.send_body(self.encoder.failed(failure.body), more_body=True)

    def preferred(self, *encoders: type[Encoder]) -> Encoder:
        """The form that the client would rather have; the first if it does not say. Raises ApiError."""
        types = {encoder.content_type.decode().partition(";")[0]: encoder for encoder in encoders}
        request = HttpRequest()
        request.META["HTTP_ACCEPT"] = self.header(b"accept") or "*/*"
        try:
            return types.get(request.get_preferred_type(list(types)), encoders[0])()
        except ValueError:
            raise ApiError(400, "Accept: it cannot be read; send types of content with commas between them.") from None

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

    def offset(self, asked: str, *, name: str) -> int:
        """An offset of this run's log; raises ApiError if nobody can have been given it."""
        if (offset := offset_of(self.run.log, asked)) is None:
            advice = "send one that you were given, or none to begin at the beginning."
            raise ApiError(400, f"{name}: {asked[:20]!r} is no offset of this run's log; {advice}")
        return offset
