"""A server as `manage.py serve` starts it, what outlives it, and a program that asks its API."""

import contextlib
import http.client
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.processes import Process, free_port, running


@dataclass(frozen=True)
class Site:
    """A server, and what outlives it: its runbooks and its data."""

    data: Path
    runbooks: Path

    @contextlib.contextmanager
    def serving(self, **environment: str) -> Iterator[Process]:
        port = free_port()
        folders = {"DATA_DIR": str(self.data), "RUNBOOKS_DIR": str(self.runbooks), "API_PORT": str(port)}
        with running("manage.py", "serve", stdout=self.data / "out", **folders, **environment) as server:
            assert server.will_say("ready")
            server.port = port
            yield server

    def query(self, columns: str) -> list[tuple]:
        with contextlib.closing(sqlite3.connect(self.data / "db.sqlite3")) as database:
            return database.execute(f"SELECT {columns} FROM runbooks_run ORDER BY id").fetchall()  # noqa: S608

    def printed(self, run: int) -> str:
        return (self.data / f"runs/{run}/log").read_text()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else can write into the database meanwhile: whoever wants to is being answered until then."""
        with contextlib.closing(sqlite3.connect(self.data / "db.sqlite3", isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            yield


@dataclass(frozen=True)
class Program:
    """A client of the API, with a token."""

    server: Process
    authorization: str = ""
    port: int = 0  # of a proxy, if it asks through one

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> http.client.HTTPConnection:
        """Send a request, whose answer can be waited for later."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port or self.server.port, timeout=20)
        self.server.clients.callback(connection.close)
        sent = {"Content-Type": "application/json", "Authorization": self.authorization, **headers}
        connection.request(method, path, body=json.dumps(body or {}), headers=sent)
        return connection

    def __call__(self, *request: object, **headers: str) -> tuple[int, dict]:
        return answer_of(self.ask(*request, **headers))

    def through(self, port: int) -> "Program":
        """The same program, asking through a proxy."""
        return replace(self, port=port)

    def execute(self, path: str) -> tuple[int, dict]:
        return self("POST", f"/api/runbooks/{path}/execute", {"env_vars": {}}, Prefer="respond-async")


def answer_of(connection: http.client.HTTPConnection) -> tuple[int, dict]:
    answer = connection.getresponse()
    return answer.status, json.load(answer)


def signed_in(server: Process, *roles: str) -> Program:
    _, said = Program(server)("POST", "/dev-login", {"subject": "ann", "roles": list(roles)})
    return Program(server, f"Bearer {said['access_token']}")
