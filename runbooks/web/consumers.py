"""The streams behind a run's page: fragments of HTML while it runs, and the whole log as text."""

import asyncio
import time

from django.urls import path

from runbooks.access.actor import Actor
from runbooks.library import run_for
from runbooks.models import Run
from runbooks.output.download import LogText
from runbooks.output.encode import sse
from runbooks.output.entries import PREFIX, offset_of
from runbooks.output.follow import Part, Reader
from runbooks.output.html import Lines
from runbooks.output.stream import Stream
from runbooks.threads import in_thread
from runbooks.web import fragments

PING = 10.0  # seconds of silence after which a proxy might think that nobody is there
# What a browser swaps in without a hitch: a burst of lines, and lines a second; each message counts for some more.
BURST, RATE, MESSAGE = 5000, 10_000, 50


class RunStream(Stream):
    """A stream of one run, for who may see it."""

    def admit(self, actor: Actor) -> None:
        self.actor = actor
        self.run = run_for(actor, self.scope["url_route"]["kwargs"]["pk"])


class Events(RunStream):
    """The log as fragments for HTMX, resumable by Last-Event-ID; each event's id is the offset after it."""

    async def pump(self) -> None:
        reader, lines = Reader(self.run), Lines()
        await in_thread(fragments.pass_over, reader, lines, to=await in_thread(self._after))
        self.pace, self.shown = Pace(), None
        async for part in reader.follow():
            if part.data:
                await self._send_log(part, reader, lines)
            else:
                await self._send_news(reader.run)
            await self.admit_again()
        await self._send_news(reader.run)
        await self._send(sse(reader.run.state, event="done", id=reader.offset))

    async def _send_log(self, part: Part, reader: Reader, lines: Lines) -> None:
        if reader.size() - part.start > fragments.PAGE_LINES * PREFIX:
            reader.offset = part.start
            html = await in_thread(fragments.jump, reader, lines)
            if html is not None:
                await self._send(sse(html, id=reader.offset))
                return
            reader.offset = part.end
        for chunk in fragments.chunks(lines, part.data, start=part.start):
            await self._send(sse(chunk.html, id=chunk.end))
            await self.pace.wait(chunk.lines)

    async def _send_news(self, run: Run) -> None:
        news = (run.state, run.cancelled_at, await in_thread(fragments.sub_run_states, run))
        if news != self.shown:
            self.shown = news
            await self._send(sse(await in_thread(fragments.state_html, self.actor, run)))
        elif time.monotonic() - self.sent_at > PING:
            await self._send(sse("", event="ping"))

    async def _send(self, event: bytes) -> None:
        await self.send_body(event, more_body=True)

    def _after(self) -> int:
        """Where the client wants to go on; the header is newer than the address, which stays what it was at first."""
        query = dict(pair.partition("=")[::2] for pair in self.scope["query_string"].decode("latin-1").split("&"))
        asked = self.header(b"last-event-id") or query.get("after", "")
        return offset_of(self.run.log, asked) or 0


class Pace:
    """Lets a burst through at once, and then no more than RATE lines a second, or RATE / MESSAGE messages."""

    def __init__(self) -> None:
        self.credit, self.at = float(BURST), time.monotonic()

    async def wait(self, lines: int) -> None:
        now = time.monotonic()
        self.credit, self.at = min(BURST, self.credit + (now - self.at) * RATE), now
        self.credit -= MESSAGE + lines
        # At least a moment for the others: what comes next takes a while to render.
        await asyncio.sleep(max(0.0, -self.credit / RATE))


class Log(LogText, RunStream):
    """The log as it is in the file so far."""


urlpatterns = [
    path("runs/<int:pk>/events/", Events.as_asgi(), name="events"),
    path("runs/<int:pk>/log.txt", Log.as_asgi(), name="log"),
]
