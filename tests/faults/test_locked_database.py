"""Another process locks the database for half a minute, longer than anybody waits: reading goes on, writing is told no.

It is done once, with everybody who reads and writes meanwhile; the tests look at what they saw.
"""

import contextlib
import itertools
import shutil
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.conftest import runbook_source
from tests.faults.person import Person, signed_in_person
from tests.processes import Process, until
from tests.serving import Site, signed_in

LOCKED, PATIENCE = 30.0, 20.0  # seconds: of the lock, and that a writer waits
SCRIPT = """
echo "$RUNBOOK_RUN_ID" >> {folder}/starts
until [ -e {folder}/go-$RUNBOOK_RUN_ID ]; do n=$((n + 1)); echo "line $n"; sleep 0.1; done
"""
READ = ("/runbooks/", "/runbooks/count.md/", "/runs/", "/runs/1/", "/api/runs", "/api/runs/1?after=0", "/metrics")


@dataclass
class Lock:
    """What clients were told while the database was locked, and what is there when all is over."""

    began: float = 0.0
    reads: list[tuple[str, int, float]] = field(default_factory=list)
    lines: dict[str, list[float]] = field(default_factory=dict)  # when each came, by the stream
    refused: dict[str, httpx.Response] = field(default_factory=dict)
    waited: dict[str, httpx.Response] = field(default_factory=dict)
    states: list[tuple] = field(default_factory=list)
    starts: list[str] = field(default_factory=list)
    printed: str = ""
    complaints: str = ""


class Clients:
    """A person and a program, and whatever one of them asks for in a thread of its own."""

    def __init__(self, server: Process, lock: Lock):
        self.server, self.lock = server, lock
        self.program = httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60)
        server.clients.callback(self.program.close)
        self.program.headers["Authorization"] = signed_in(server, "sre").authorization
        self.person = signed_in_person(server)

    def execute(self) -> httpx.Response:
        headers = {"Prefer": "respond-async"}
        return self.program.post("/api/runbooks/count.md/execute", json={"env_vars": {}}, headers=headers)

    def read(self) -> None:
        """Read all pages, again and again, until the lock is about to end."""
        while time.monotonic() < self.lock.began + LOCKED - 2:
            for path in READ:
                client, began = self.program if path.startswith("/api") else self.person, time.monotonic()
                self.lock.reads.append((path, client.get(path).status_code, time.monotonic() - began))
            time.sleep(0.5)

    def watch(self, path: str) -> None:
        """Note when each line of a stream comes, until it ends."""
        client = self.program if path.startswith("/api") else self.person
        with client.stream("GET", path) as answer:
            self.lock.lines[path] = [time.monotonic() for line in answer.iter_lines() if "line " in line]


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        yield


@pytest.fixture(scope="module")
def lock(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Lock:
    folder = tmp_path_factory.mktemp("locked")
    site, lock = Site(folder / "data", folder / "runbooks"), Lock()
    site.data.mkdir()
    site.runbooks.mkdir()
    shutil.copy(migrated, site.data)
    source = runbook_source(name="count", script=SCRIPT.format(folder=folder))
    (site.runbooks / "count.md").write_text(source)
    with site.serving() as server, ThreadPoolExecutor(max_workers=16) as threads:
        clients = Clients(server, lock)
        assert [clients.execute().status_code for _ in range(3)] == [202] * 3
        until(lambda: (folder / "starts").exists() and len((folder / "starts").read_text().split()) == 3)
        for stream in ("/runs/1/events/", "/api/runs/1/events"):
            threads.submit(clients.watch, stream)
        _while_locked(site, clients, threads, lock)
        for run in range(1, 20):
            (folder / f"go-{run}").touch()
        until(lambda: not [state for (state,) in site.query("state") if state in ("queued", "running")], seconds=30)
        lock.states, lock.printed = site.query("id, state, ended_at >= started_at"), site.printed(1)
        lock.complaints = server.complaints
    lock.starts = (folder / "starts").read_text().split()
    return lock


def _while_locked(site: Site, clients: Clients, threads: ThreadPoolExecutor, lock: Lock) -> None:
    with locked(site.data / "db.sqlite3"):
        lock.began = time.monotonic()
        reading = threads.submit(clients.read)
        (site.data.parent / "go-3").touch()  # it ends while nobody can write that down
        stranger = Person(clients.server)
        asked = {
            "page": threads.submit(clients.person.start, "count.md"),
            "api": threads.submit(clients.execute),
            "cancel": threads.submit(clients.program.post, "/api/runs/2/cancel"),
            "cancel page": threads.submit(clients.person.send_form, "/runs/2/cancellation/"),
            "session": threads.submit(stranger.sign_in, "bob"),
        }
        until(lambda: time.monotonic() > lock.began + LOCKED - PATIENCE + 4)
        later = {
            "page": threads.submit(clients.person.start, "count.md"),
            "api": threads.submit(clients.execute),
            "session": threads.submit(stranger.sign_in, "carol"),
        }
        lock.refused = {name: answer.result() for name, answer in asked.items()}
        reading.result()
        until(lambda: time.monotonic() > lock.began + LOCKED)
    lock.waited = {name: answer.result() for name, answer in later.items()}


def test_reading_goes_on(lock):
    assert {status for _, status, _ in lock.reads} == {200}
    assert {path for path, _, _ in lock.reads} == set(READ)
    assert max(seconds for _, _, seconds in lock.reads) < 5


@pytest.mark.parametrize("stream", ["/runs/1/events/", "/api/runs/1/events"])
def test_streams_go_on(lock, stream):
    during = [at for at in lock.lines[stream] if lock.began < at < lock.began + LOCKED]
    assert len(during) > LOCKED * 3
    assert max(after - before for before, after in itertools.pairwise(during)) < 3


@pytest.mark.parametrize("asked", ["page", "cancel page", "session"])
def test_a_person_who_must_write_is_told_to_try_again(lock, asked):
    answer = lock.refused[asked]
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert "The database is busy" in answer.text
    assert ("Nothing was started." in answer.text) == (asked == "page")


@pytest.mark.parametrize("asked", ["api", "cancel"])
def test_a_program_that_must_write_is_told_to_ask_again(lock, asked):
    answer = lock.refused[asked]
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert answer.json()["error"].startswith("The database is busy")
    assert ("Nothing was started" in answer.json()["error"]) == (asked == "api")


def test_who_asks_shortly_before_the_end_waits_and_is_served(lock):
    assert {name: answer.status_code for name, answer in lock.waited.items()} == {
        "page": 302,
        "api": 202,
        "session": 302,
    }


def test_afterwards_each_run_has_ended_and_began_once(lock):
    # Three that went on, and the two that waited for the lock; none of those that were told no.
    assert lock.states == [(run, "succeeded", 1) for run in range(1, 6)]
    assert sorted(lock.starts) == ["1", "2", "3", "4", "5"]


def test_no_line_is_lost_and_the_order_is_kept(lock):
    numbers = [int(line.split()[-1]) for line in lock.printed.splitlines()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) > LOCKED * 3


def test_the_servers_log_tells_of_it_in_single_lines(lock):
    assert "database is locked" in lock.complaints
    assert "Traceback" not in lock.complaints
