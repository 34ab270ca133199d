"""Daphne with its gaps closed: unread output, too long a body, a trusted header, an error in an answer, a clean end."""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any
from urllib.parse import unquote

import daphne.server  # before any import of Twisted's reactor, which cannot be replaced once it is there
from daphne.http_protocol import WebRequest
from daphne.ws_protocol import WebSocketProtocol
from twisted.internet import defer, reactor

from runbookweb.programs import is_for_programs

# How long tasks may take for their `finally` once the server stops.
GRACE_SECONDS = 1.5
# Above what Django takes for a form, which it refuses with a page of ours.
MAX_BODY = 3 * 1024 * 1024
# How long a client whose request is too long may go on sending before it reads that it is.
LINGER_SECONDS = 5
# Daphne believes whoever sends a root of the paths, and Django fails at a path that is not below it; it fails itself at
# a subprotocol that is not ASCII, and no socket of ours speaks any.
HARMFUL = (b"Daphne-Root-Path", b"Sec-WebSocket-Protocol")
GOING_AWAY = 1001
FULL = "This server's disk has no room for the request; send it again in a moment."
logger = logging.getLogger(__name__)


class Server(daphne.server.Server):
    """Daphne, with bounded memory for each client and an end that every task hears of.

    `alongside` runs as a task from when the server listens, and can be stopped by a signal, until it stops. A request
    with a body of more than `max_body` bytes is refused before it is read.
    """

    def __init__(
        self,
        *,
        alongside: Callable[[], Coroutine[Any, Any, None]] | None = None,
        max_body: int = MAX_BODY,
        **options: Any,
    ):
        # Daphne would close each socket a day after it was opened, by the clock on the wall: a run may last for weeks.
        super().__init__(**{"websocket_timeout": -1, **options})
        self.alongside = alongside
        self.max_body = max_body
        self.is_ending = False
        self.tasks: list[asyncio.Task] = []
        self.listen_problem: Exception | None = None

    def run(self) -> None:
        """Serve until a signal comes; if nothing can be listened on, return at once with `listen_problem` set."""
        if self.alongside:
            reactor.callWhenRunning(self._start_alongside)
        super().run()

    def _start_alongside(self) -> None:
        self.tasks.append(asyncio.get_event_loop().create_task(self.alongside()))

    def listen_error(self, failure: Any) -> None:
        self.listen_problem = failure.value
        self.stop()

    def protocol_connected(self, protocol: WebRequest | WebSocketProtocol) -> None:
        super().protocol_connected(protocol)
        if isinstance(protocol, WebRequest):
            # Daphne fixes the class of its requests inside its own functions: a subclass of it would have no way in.
            protocol.handle_exception = partial(end_failed_response, protocol)
            body = Body(protocol, most=self.max_body)
            protocol.gotLength, protocol.handleContentChunk = body.begin, body.take
            # Twisted would read each form into memory, for a dictionary that nobody asks for.
            protocol._parsePOSTFormSubmission = False

    async def handle_reply(self, protocol: WebRequest | WebSocketProtocol, message: dict[str, Any]) -> None:
        """Pass one message to the client, and return when there is room for the next."""
        details = self.connections.get(protocol)
        if details is None or "disconnected" in details:
            # Sending is all that some writers wait for: without a pause here they would never hear that they are
            # cancelled, and nobody else would be served.
            await asyncio.sleep(0)
            return
        if "valve" not in details:
            details["valve"] = Valve.between(protocol)
        await super().handle_reply(protocol, message)
        if message.get("more_body") or message["type"] == "websocket.send":
            write_now(protocol)
            await details["valve"].opened.wait()

    def create_application(self, protocol: WebRequest | WebSocketProtocol, scope: dict[str, Any]) -> asyncio.Queue:
        """Begin to answer a request; one that comes when the server ends is not begun, and its connection closes."""
        return asyncio.Queue() if self.is_ending else super().create_application(protocol, scope)

    def kill_all_applications(self) -> defer.Deferred:
        """Cancel every task, and wait until each has done its `finally`, but not for ever."""
        self.is_ending = True
        for protocol in self.connections:
            if isinstance(protocol, WebSocketProtocol) and protocol.state == protocol.STATE_OPEN:
                # Without a word of farewell, a client takes a planned end for a broken network.
                protocol.sendCloseFrame(code=GOING_AWAY)
        # A request that is half received, or already answered, has no application.
        running = {details.get("application_instance") for details in self.connections.values()} - {None}
        return defer.Deferred.fromFuture(asyncio.ensure_future(cancel_all(running | set(self.tasks))))


class Body:
    """What a request brings along, kept until it is too much."""

    def __init__(self, request: WebRequest, *, most: int):
        self.request, self.most = request, most
        self.refused = False

    def begin(self, length: int | None) -> None:
        """Make room for a body of this length, None if the client does not say; all headers have come."""
        for name in HARMFUL:
            self.request.requestHeaders.removeHeader(name)
        if length is not None and length > self.most:
            self._refuse_length()
        else:
            self._keep(WebRequest.gotLength, length)

    def take(self, data: bytes) -> None:
        if self.refused:
            return
        if self.request.content.tell() + len(data) > self.most:
            self._refuse_length()
        else:
            self._keep(WebRequest.handleContentChunk, data)

    def _keep(self, keep: Callable, part: int | bytes | None) -> None:
        """Keep this of the request, as Twisted does: what is long goes to the disk, which may be full."""
        try:
            keep(self.request, part)
            self.request.content.flush()  # or the disk would be asked later, where nobody expects that it is full
        except OSError as problem:
            logger.error("A request could not be kept: %s", problem)
            self.refuse("503 Service Unavailable", FULL)

    def _refuse_length(self) -> None:
        self.refuse("413 Content Too Large", f"The request is too long: send no more than {self.most} bytes.")

    def refuse(self, status: str, sentence: str) -> None:
        """Answer with this, and let the client send on into nothing for a while.

        If the connection were closed on what it still sends, the client would hear of a broken connection, and not why.
        """
        self.refused = True
        channel = self.request.channel
        channel.rawDataReceived = self.request.requestReceived = nothing
        self.request.requestHeaders.removeHeader(b"Expect")  # or Twisted would ask for the body
        channel.transport.write(refusal(channel._path, status, sentence))
        channel.transport.loseWriteConnection()
        reactor.callLater(LINGER_SECONDS, channel.transport.abortConnection)


def refusal(path: bytes, status: str, sentence: str) -> bytes:
    """The whole answer to a request that is refused before it is read, for a program or for a person."""
    for_program = is_for_programs(unquote(path.partition(b"?")[0]))
    body = json.dumps({"success": False, "error": sentence}) if for_program else sentence + "\n"
    kind = "application/json" if for_program else "text/plain"
    head = f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: {kind}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def nothing(*arguments: object) -> None:
    """Takes the place of what would go on with a refused request."""


def write_now(protocol: WebRequest | WebSocketProtocol) -> None:
    """Give the kernel what has just been sent: a line would otherwise wait for the event loop's next round."""
    transport = protocol.channel.transport if isinstance(protocol, WebRequest) else protocol.transport
    if transport is not None and transport.connected and not transport.disconnecting:
        transport.doWrite()  # what it cannot write, or why, the event loop finds as it always does


class Valve:
    """What Twisted asks to pause while a connection's buffer is full; a client that went away opens it for good."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.opened.set()

    @classmethod
    def between(cls, protocol: WebRequest | WebSocketProtocol) -> "Valve":
        """A valve for this response, in place of the one for the connection's response before."""
        # After an upgrade, the HTTP channel stays the one that the transport asks to pause.
        channel = protocol.channel if isinstance(protocol, WebRequest) else protocol.transport.producer
        valve = cls()
        channel.unregisterProducer()
        channel.registerProducer(valve, True)
        return valve

    def pauseProducing(self) -> None:
        self.opened.clear()

    def resumeProducing(self) -> None:
        self.opened.set()

    stopProducing = resumeProducing


def end_failed_response(request: WebRequest, exception: Exception) -> None:
    """Answer 500, or close the connection if a part of another answer has gone out.

    Daphne would begin a second answer within the first, fail at that, and never again look after any connection.
    """
    if request._response_started:
        request.loseConnection()
    else:
        WebRequest.handle_exception(request, exception)


async def cancel_all(first: set[asyncio.Future]) -> None:
    """Cancel these tasks, and when they have ended every other that they leave behind; wait, but not for ever.

    Django leaves two for each request that it is answering. Over one that is not done, Python may crash at its end.
    """
    deadline = time.monotonic() + GRACE_SECONDS
    pending = first or _others()
    while pending and time.monotonic() < deadline:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=deadline - time.monotonic())
        pending = _others()


def _others() -> set[asyncio.Task]:
    return asyncio.all_tasks() - {asyncio.current_task()}
