"""Programs that ask a real server over the JSON API, in every form that it answers in."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.sync.client import connect

from tests.browser.server import Server


@dataclass
class Told:
    """What one answer has told of a run: the text of each stream, the ids, and the object at the end."""

    stdout: str = ""
    stderr: str = ""
    ids: list[int] = field(default_factory=list)
    done: dict[str, Any] | None = None

    @property
    def output(self) -> tuple[str, str]:
        return self.stdout, self.stderr

    def hear(self, event: str, data: Any, *, id: int | None = None) -> None:
        if id is not None:
            self.ids.append(id)
        if event in ("stdout", "stderr"):
            setattr(self, event, getattr(self, event) + data)
        elif event == "done":
            self.done = data


class Program:
    """A client with a token of its own."""

    def __init__(self, server: Server, subject: str = "alice", *roles: str):
        self.server = server
        self.client = httpx.Client(base_url=server.url, timeout=60)
        body = {"subject": subject, "roles": list(roles)}
        self.token = self.client.post("/dev-login", json=body).json()["access_token"]
        self.client.headers["Authorization"] = f"Bearer {self.token}"

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *problem: object) -> None:
        self.client.close()

    def execute(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return self.client.post(f"/api/runbooks/{path}/execute", json=body or {}, headers=headers)

    def begin(self, path: str, **values: str) -> int:
        """The number of a run that has been asked for and goes on."""
        answer = self.execute(path, {"env_vars": values}, Prefer="respond-async")
        assert answer.status_code == 202, answer.text
        return answer.json()["run_id"]

    def run(self, run: int, **query: object) -> dict[str, Any]:
        answer = self.client.get(f"/api/runs/{run}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ended(self, run: int) -> dict[str, Any]:
        """The run when it has ended, with all its output."""
        assert self.run(run, wait=30)["ended_at"]
        return self.run(run, after=0)

    def events(self, run: int, *, most: int = 10**9, **headers: str) -> Told:
        """What the stream of events tells, up to this number of events."""
        with self.client.stream("GET", f"/api/runs/{run}/events", headers=headers) as answer:
            assert answer.status_code == 200
            return told_by(events_of(answer), most=most)

    def lines(self, run: int) -> Told:
        headers = {"Accept": "application/x-ndjson"}
        with self.client.stream("GET", f"/api/runs/{run}/events", headers=headers) as answer:
            return told_by(objects_of(answer.iter_lines()))

    def socket(self, run: int, *, query: str = "") -> Told:
        address = f"{self.server.url.replace('http', 'ws')}/api/runs/{run}/socket{query}"
        with connect(address, additional_headers={"Authorization": f"Bearer {self.token}"}) as socket:
            return told_by(objects_of(socket))

    def polled(self, run: int) -> Told:
        """What a client gets that asks again and again for what is new."""
        told, offset = Told(), 0
        while told.done is None:
            news = self.run(run, after=offset, wait=10)
            told.stdout += news["stdout"]
            told.stderr += news["stderr"]
            offset = news["offset"]
            if news["ended_at"] and not news["stdout"] + news["stderr"]:
                told.done = news
        return told


Event = tuple[str, Any, int | None]


def told_by(events: Iterable[Event], *, most: int = 10**9) -> Told:
    told = Told()
    for number, (event, data, id) in enumerate(events, start=1):
        told.hear(event, data, id=id)
        if number == most:
            break
    return told


def events_of(answer: httpx.Response) -> Iterator[Event]:
    """Events as https://html.spec.whatwg.org/multipage/server-sent-events.html has them read."""
    text, event, id, data = "", "", None, []
    for piece in answer.iter_text():
        *lines, text = (text + piece).split("\n")
        assert "\r" not in piece
        for line in lines:
            name, _, value = line.partition(": ")
            if name == "event":
                event = value
            elif name == "id":
                id = int(value)
            elif name == "data":
                data.append(value)
            elif not line and data:
                joined = "\n".join(data)
                yield event, json.loads(joined) if event == "done" else joined, id
                event, id, data = "", None, []


def objects_of(lines: Iterable[str]) -> Iterator[Event]:
    for line in lines:
        told = json.loads(line)
        yield told["event"], told.get("data"), told.get("id")
