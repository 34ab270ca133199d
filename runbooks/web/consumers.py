"""The streams behind a run's page: fragments of HTML while it runs, and the log as a download."""

import asyncio
import contextlib
import time

from django.urls import path

from runbooks.access.actor import Actor
from runbooks.library import run_for
from runbooks.models import Run
from runbooks.output.download import LogJson, LogLines
from runbooks.output.encode import sse
from runbooks.output.entries import offset_of
from runbooks.output.follow import Part, Reader
from runbooks.output.stream import Stream
from runbooks.threads import in_thread
from runbooks.web import doctor, log_fragments, outputs, state_fragments, watchers

SOME = 16 * 1024  # bytes that come at once to who may be far behind
PING = 5.0  # seconds of silence after which a page or a proxy might think that nobody is there
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
        after = await in_thread(self._after)
        reader, self.lines = Reader(self.run, after=after), await in_thread(log_fragments.lines_at, self.run, after)
        self.pace, self.shown, self.waits_for, self.others = Pace(), None, "", None
        with watchers.watching(self.actor, self.run):
            async with contextlib.aclosing(reader.follow()) as parts:
                async for part in parts:
                    if part.data:
                        await self._send_log(part, reader)
                    else:
                        await self._send_news(part, reader.run)
                        await self._send_watchers(watchers.others(self.actor, self.run))
                    await self.admit_again()
        await self._send_news(Part(b"", 0, 0), reader.run)
        await self._send_watchers(())
        await self._send(sse(reader.run.state, event="done", id=reader.offset))

    async def _send_log(self, part: Part, reader: Reader) -> None:
        if len(part.data) > SOME and (jump := await self._jump(part)):
            self.lines, reader.offset = jump.lines, jump.end
            await self._send(jump.event)
            return
        rendered = part.once(log_fragments.Rendered, lambda: log_fragments.Rendered(part, self.lines))
        for chunk in rendered:
            await self._send(chunk.event)
            await self.pace.wait(chunk.count)
        self.lines = rendered.lines

    async def _jump(self, part: Part) -> log_fragments.Jump | None:
        """The way to near the end, found once for all who are as far behind."""
        return await part.once_awaited(
            log_fragments.jump, lambda: in_thread(log_fragments.jump, self.run, self.lines, after=part.start)
        )

    async def _send_news(self, part: Part, run: Run) -> None:
        stands, waits_for = await part.once_awaited(state_fragments.news, lambda: in_thread(state_fragments.news, run))
        if stands != self.shown:
            html = await part.once_awaited(
                repr(self.actor), lambda: in_thread(state_fragments.state_html, self.actor, run)
            )
            await self._send(sse(html))
        elif waits_for != self.waits_for:
            await self._send(sse(state_fragments.waiting_html(waits_for)))
        elif time.monotonic() - self.sent_at > PING:
            await self._send(sse("", event="ping"))
        self.shown, self.waits_for = stands, waits_for

    async def _send_watchers(self, others: tuple[str, ...]) -> None:
        # The first time in any case: a page whose stream was cut off may still name who has gone since.
        if others != self.others:
            await self._send(sse(await in_thread(watchers.watchers_html, others)))
        self.others = others

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


class Log(LogLines, RunStream):
    """The log so far, or some of its lines, as text."""


class Json(LogJson, RunStream):
    """The same as JSON."""


urlpatterns = [
    *doctor.urlpatterns,
    *outputs.urlpatterns,
    path("runs/<int:pk>/events/", Events.as_asgi(), name="events"),
    path("runs/<int:pk>/log.txt", Log.as_asgi(), name="log"),
    path("runs/<int:pk>/log.json", Json.as_asgi(), name="log-json"),
]
