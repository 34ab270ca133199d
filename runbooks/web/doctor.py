"""The doctor's page, and the streams that it has a browser measure: what lies between here and there shows in them."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import path, reverse
from django.views.decorators.http import require_safe

from runbooks.access.actor import Actor
from runbooks.access.identify import asker, session_of, signed_in
from runbooks.access.tokens import BadToken
from runbooks.output.encode import json_bytes, sse
from runbooks.output.stream import Refusal, Stream
from runbooks.web.doctor_checks import CHECKS, LONG

LINES, PAUSE = 15, 0.2  # what a script prints that prints five lines a second, for three seconds
PING = 5.0  # seconds, as between the pings of a run's page
LONGEST = 60
MOST = 4  # streams of one person at once: a page has three, and a slow network may not have ended those before


@require_safe
@signed_in
def doctor(request: HttpRequest) -> HttpResponse:
    seconds = _seconds(request.GET)
    if seconds is None:
        raise BadRequest(f"silence: it must be a whole number of seconds from 1 to {LONGEST}.")
    stream = f"{reverse('doctor')}stream/"
    context = {
        "quick": [check for check in CHECKS if check.name not in LONG],
        "long": [check for check in CHECKS if check.name in LONG],
        "seconds": seconds,
        "ping": int(PING),
        "stream": stream,
        # For curl alone: behind a proxy that does not pass on Host, it is not the address that the browser has.
        "address": request.build_absolute_uri(stream),
    }
    return render(request, "doctor.html", context)


class Measured(Stream):
    """Events at known moments: `of=lines`, one in a while; `of=silence`, none in between; `of=pings`, as on a page.

    Each says how many milliseconds after the first it was sent. Whoever reads them compares the distances: the clocks
    of two machines say nothing of each other.
    """

    open_by: Counter[str] = Counter()
    has_place = False

    def identify(self) -> Actor:
        """A browser's session, or a token, for who has nothing but curl at hand."""
        try:
            return asker(self.header(b"authorization"), session_of(self.header(b"cookie"))).actor
        except BadToken as problem:
            raise Refusal(401, str(problem)) from None

    def admit(self, actor: Actor) -> None:
        self.actor = actor

    async def open(self) -> None:
        await super().open()
        try:
            query = QueryDict(self.scope["query_string"])
        except SuspiciousOperation:
            raise Refusal(400, "The address has too many parameters; it takes of and silence.") from None
        self.moments = _moments(query.get("of", "lines"), _seconds(query))
        if self.open_by[self.actor.id] >= MOST:
            sentence = f"You have {MOST} of these streams open; wait until one has ended, at most {LONGEST} s."
            raise Refusal(429, sentence, headers=((b"Retry-After", b"10"),))
        self.open_by[self.actor.id] += 1
        self.has_place = True

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self.has_place:
                self.open_by.subtract([self.actor.id])
                self.open_by += Counter()  # forgets those who have none

    async def pump(self) -> None:
        began = time.monotonic()
        for moment in self.moments:
            await asyncio.sleep(began + moment - time.monotonic())
            await self._send("line", sent=round(1000 * (time.monotonic() - began), 1), time=round(1000 * time.time()))
        await self._send("done", lines=len(self.moments))

    async def _send(self, event: str, **said: float) -> None:
        await self.send_body(sse(json_bytes(said).decode(), event=event), more_body=True)


def _moments(wanted: str, seconds: int | None) -> list[float]:
    """The seconds after the first event at which the others follow; raises Refusal."""
    if seconds is None:
        raise Refusal(400, f"silence: it must be a whole number of seconds from 1 to {LONGEST}.")
    if wanted == "lines":
        return [PAUSE * number for number in range(LINES)]
    if wanted == "silence":
        return [0.0, float(seconds)]
    if wanted == "pings":
        return [*(PING * number for number in range(int((seconds - 0.001) // PING) + 1)), float(seconds)]
    raise Refusal(400, "of: it must be lines, silence or pings.")


def _seconds(query: QueryDict) -> int | None:
    """How long a silence is asked for; None if that is no number of seconds that is served."""
    asked = query.get("silence", str(LONGEST))
    is_number = asked.isascii() and asked.isdigit() and len(asked) <= len(str(LONGEST))
    return int(asked) if is_number and 1 <= int(asked) <= LONGEST else None


urlpatterns = [path("doctor/stream/", Measured.as_asgi(), name="doctor-stream")]
