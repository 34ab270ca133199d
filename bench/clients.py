"""What asks the server, and the reader of its streams, which reads the bare pipes that they are compared with too."""

import http.client
import json
import os
import re
import selectors
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

READ = 256 * 1024
REST = 8192  # how much of the end of a stream is kept
SILENCE = 60.0  # seconds after which nothing more is expected
# Not where it comes again: the last event of who has started a run has all of its output as JSON.
PRINTED = re.compile(rb"(?<!\\n)tick:(\d{10}\.\d{6})")
PARENT = re.compile(rb"parent:(\d+) ")
CSRF = re.compile(rb'name="csrfmiddlewaretoken" value="([^"]+)"')


class Silent(RuntimeError):
    """What was waited for has not come."""


class Stream:
    """What arrives at a descriptor: how old each line was that tells its age, and the last of everything."""

    def __init__(self, descriptor: int):
        self.descriptor = descriptor
        self.ages: list[float] = []
        self.size = 0
        self.rest = b""
        self.has_ended = False
        self.parent = 0  # the process that the script was started by, once the script has told
        self._looked_at = 0

    def read(self) -> None:
        """Read what there is; at its end the descriptor is closed."""
        data = os.read(self.descriptor, READ)
        now = time.time()
        self.size += len(data)
        text = self.rest + data
        # Looked for by `in` first: the reader of a gigabyte would measure the expressions.
        for found in PRINTED.finditer(text, self._looked_at) if b"tick:" in text else ():
            self.ages.append(now - float(found[1]))
            self._looked_at = found.end()
        if not self.parent and b"parent:" in text and (found := PARENT.search(text)):
            self.parent = int(found[1])
        self.rest = text[-REST:]
        self._looked_at = max(0, self._looked_at - len(text) + len(self.rest))
        if not data:
            self.has_ended = True
            os.close(self.descriptor)

    @property
    def has_succeeded(self) -> bool:
        return self.has_ended and b"succeeded" in self.rest


def read(streams: Sequence[Stream], *, until: Callable[[], bool] = lambda: False) -> None:
    """Read from all of them as it comes, until they have ended, or until something else is true."""
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            if not stream.has_ended:
                selector.register(stream.descriptor, selectors.EVENT_READ, stream)
        while selector.get_map() and not until():
            ready = selector.select(SILENCE)
            if not ready:
                raise Silent(f"Of {len(streams)} streams, {len(selector.get_map())} have not ended.")
            for key, _ in ready:
                key.data.read()
                if key.data.has_ended:
                    selector.unregister(key.fd)


class Client:
    """A program with a token, and a person with a session, who keep a connection for what is no stream."""

    def __init__(self, port: int):
        self.port = port
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SILENCE)
        token = json.loads(self._ask("POST", "/dev-login", {"subject": "bench", "roles": ["sre"]}))["access_token"]
        self.authorization = {"Authorization": f"Bearer {token}"}

    def execute(self, name: str, **values: str) -> None:
        """Run a runbook to its end."""
        answer = self._execute(name, values)
        assert answer["status"] == "succeeded", answer

    def start(self, name: str, **values: str) -> int:
        """Queue a run, and come back with its number."""
        return self._execute(name, values, Prefer="respond-async")["run_id"]

    def stream_of_new(self, name: str, **values: str) -> Stream:
        """Start a run and stream it, in one request."""
        path = f"/api/runbooks/{name}.md/execute?stream=true"
        return self._stream("POST", path, json.dumps({"env_vars": values}), **self.authorization)

    def follow(self, run: int) -> Stream:
        return self._stream("GET", f"/api/runs/{run}/events", **self.authorization)

    def download(self, run: int) -> Stream:
        return self._stream("GET", f"/api/runs/{run}/log", **self.authorization)

    def watch(self, run: int) -> Stream:
        """The stream of a run's page: HTML."""
        return self._stream("GET", f"/runs/{run}/events/", Cookie=self._session())

    def person(self) -> "Person":
        return Person(self.port, self._session())

    def _execute(self, name: str, values: dict[str, str], **headers: str) -> dict[str, Any]:
        path = f"/api/runbooks/{name}.md/execute"
        return json.loads(self._ask("POST", path, {"env_vars": values}, **self.authorization, **headers))

    def _session(self) -> str:
        page = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SILENCE)
        page.request("GET", "/login/")
        answer = page.getresponse()
        form = {"subject": "bench", "roles": "sre", "csrfmiddlewaretoken": CSRF.search(answer.read())[1].decode()}
        headers = {"Cookie": answer.headers["Set-Cookie"], "Content-Type": "application/x-www-form-urlencoded"}
        page.request("POST", "/login/", urlencode(form), headers)
        answer = page.getresponse()
        answer.read()
        page.close()
        return "; ".join(cookie.partition(";")[0] for cookie in answer.headers.get_all("Set-Cookie"))

    def _ask(self, method: str, path: str, body: object, **headers: str) -> bytes:
        self.connection.request(method, path, json.dumps(body), {"Content-Type": "application/json", **headers})
        answer = self.connection.getresponse()
        content = answer.read()
        assert answer.status < 400, (path, answer.status, content)
        return content

    def _stream(self, method: str, path: str, body: str = "", **headers: str) -> Stream:
        headers |= {"Host": f"127.0.0.1:{self.port}", "Connection": "close", "Accept": "text/event-stream"}
        headers |= {"Content-Type": "application/json", "Content-Length": str(len(body))} if body else {}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", body]
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.sendall("\r\n".join(lines).encode())
        return Stream(connection.detach())


class Person:
    """Somebody with a session, who keeps a connection for pages."""

    def __init__(self, port: int, cookie: str):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SILENCE)
        self.headers = {"Cookie": cookie}

    def page(self, path: str) -> bytes:
        self.connection.request("GET", path, headers=self.headers)
        answer = self.connection.getresponse()
        content = answer.read()
        assert answer.status == 200, (path, answer.status)
        return content
