"""A server process for test_server.py: small ASGI applications, each of which shows one weakness of plain Daphne.

`python -m tests.server_apps [plain]` prints its port; `plain` is for seeing that each test fails without our Server.
"""

import asyncio
import json
import resource
import sys
from functools import partial
from pathlib import Path

import daphne.server
from twisted.internet import reactor

from runbooks.management.ready import keep_running
from runbookweb.server import Server

CHUNK = b"0123456789abcdef" * 4096
OFFERED = {"bytes": 0}
RUNNERS: list[str] = []


def say(text):
    print(text, flush=True)


async def begin(send, *, status=200):
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})


async def write(send, body, *, more=True):
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def flood(receive, send, size):
    await begin(send)
    for _ in range(size // len(CHUNK)):
        await write(send, CHUNK)
        OFFERED["bytes"] += len(CHUNK)
    await write(send, b"", more=False)


async def wait_for_ever(receive, send, size):
    try:
        await begin(send)
        await write(send, b"first\n")
        await asyncio.Event().wait()
    finally:
        await asyncio.to_thread(say, "stream ended")


async def break_midway(receive, send, size):
    await begin(send)
    await write(send, b"first\n")
    raise RuntimeError("in the middle")


async def break_at_once(receive, send, size):
    raise RuntimeError("before the first byte")


def peak_memory():
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    # Linux's getrusage() begins with the peak of the process that started this one.
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) * 1024


async def tell_length(receive, send, size):
    """How many bytes the request's body had."""
    length, more = 0, True
    while more:
        message = await receive()
        length, more = length + len(message["body"]), message["more_body"]
    await begin(send)
    await write(send, str(length).encode(), more=False)


async def tell_state(receive, send, size):
    waiting = [details for details in SERVER.connections.values() if "application_instance" not in details]
    state = {"offered": OFFERED["bytes"], "peak": peak_memory(), "without_application": len(waiting)}
    await begin(send)
    await write(send, json.dumps(state).encode(), more=False)


async def echo(receive, send, size):
    """A socket that says back what it hears, and floods its client at "flood"."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        if message["text"] == "fail":
            raise RuntimeError("in an open socket")
        if message["text"] != "flood":
            await send({"type": "websocket.send", "text": message["text"]})
            continue
        for _ in range(size // len(CHUNK)):
            await send({"type": "websocket.send", "bytes": CHUNK})
            OFFERED["bytes"] += len(CHUNK)
    say("socket ended")


async def hesitate(receive, send, size):
    """A socket that never says whether it may be opened."""
    try:
        await receive()
        say("socket asked for")
        await asyncio.Event().wait()
    finally:
        say("hesitation ended")


APPS = {
    "/flood": flood,
    "/wait-for-ever": wait_for_ever,
    "/break-midway": break_midway,
    "/break-at-once": break_at_once,
    "/length": tell_length,
    "/state": tell_state,
    "/echo": echo,
    "/hesitate": hesitate,
    "/api/length": tell_length,
    "/dev-login": tell_length,
}


async def application(scope, receive, send):
    size = int(scope["query_string"] or 200_000_000)
    await APPS[scope["path"]](receive, send, size)


async def fail_once():
    """A runner whose first life ends with an error."""
    if not RUNNERS:
        RUNNERS.append("first")
        raise RuntimeError("the first runner")
    say("second runner started")
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.to_thread(say, "second runner ended")


def say_port():
    say(f"port {SERVER.listening_addresses[0][1]}")


if __name__ == "__main__":
    # A server that buffers without end should fail its test, and not take the machine with it.
    resource.setrlimit(resource.RLIMIT_DATA, (2**31, 2**31))
    kind = daphne.server.Server if "plain" in sys.argv else partial(Server, alongside=partial(keep_running, fail_once))
    SERVER = kind(
        application=application,
        endpoints=["tcp:port=0:interface=127.0.0.1"],
        server_name="",
        # The reaper then looks after clients that went away within two seconds instead of eleven.
        application_close_timeout=0.1,
    )
    reactor.callWhenRunning(say_port)
    SERVER.run()
