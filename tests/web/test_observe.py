"""Whether the server lives, is ready, and what it counts: for load balancers and Prometheus, who never sign in."""

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from channels.testing import ApplicationCommunicator
from django.db import OperationalError, connection
from django.test import Client

from runbooks.execution import runner
from runbooks.models import State
from runbooks.output.stream import Stream
from runbooks.web import observe
from runbookweb import metrics
from tests.processes import ROOT, Process, free_port, running, until

START = """
from runbooks.access.actor import Actor
from runbooks.execution.control import start_run
from runbooks.library import runbook_for
alice = Actor("alice-secret", {})
start_run(alice, runbook_for(alice, "restart.md"), values={"PASSWORD": "hunter2-secret"})
"""


@pytest.fixture(autouse=True)
def _of_its_own(monkeypatch, settings, library) -> None:
    """A process that has no runner yet, and has counted no runs."""
    monkeypatch.setattr(metrics, "runner", metrics.Heartbeat())
    monkeypatch.setattr(observe.runs, "stale_at", 0.0)
    settings.DATA_DIR.mkdir()


def checks(*, status: int) -> dict[str, str]:
    answer = Client().get("/readyz")
    said = answer.json()
    assert (answer.status_code, said["success"]) == (status, status == 200)
    return said["checks"]


def scraped() -> str:
    return Client().get("/metrics").content.decode()


def value(sample: str, text: str) -> float:
    """The value of a sample, 0 if it is not there yet."""
    found = re.search(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_it_lives_without_a_database_even_for_who_brings_a_cookie():
    client = Client()
    client.cookies["runbookweb_session"] = "a" * 32
    answer = client.get("/healthz")  # pytest-django fails a test that uses the database without saying so
    assert (answer.status_code, answer.content) == (200, b"ok")


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_it_is_open_to_all_and_kept_nowhere(path):
    answer = Client().get(path)
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    assert not answer.cookies
    assert Client().post(path).status_code == 405
    assert Client().get(f"{path}/").status_code == 404


@pytest.mark.django_db
def test_it_is_ready_without_a_runner():
    well = dict.fromkeys(["database", "runbooks_dir", "data_dir", "server"], "ok")
    assert checks(status=200) == {**well, "runner": "none here"}


@pytest.mark.django_db
def test_it_is_not_ready_without_its_folders(settings, tmp_path):
    settings.RUNBOOKS_DIR = settings.DATA_DIR = tmp_path / "nowhere"
    said = checks(status=503)
    assert said["runbooks_dir"].endswith("which does not exist.")
    assert said["data_dir"] == "DATA_DIR cannot be written: No such file or directory."


@pytest.mark.django_db
def test_it_is_not_ready_without_a_database_and_does_not_say_why(caplog):
    def refuse(*query: object) -> None:
        raise OperationalError("no route to db.internal")

    with connection.execute_wrapper(refuse):
        assert checks(status=503)["database"] == "The database does not answer; the server's log says why."
        assert value("process_open_fds", scraped()) > 0
    assert "no route to db.internal" in caplog.text


@pytest.mark.django_db
def test_it_is_not_ready_when_its_runner_does_not_look():
    metrics.runner.at = time.monotonic() - 9
    assert checks(status=200)["runner"] == "ok"
    metrics.runner.at = time.monotonic() - 11
    assert checks(status=503)["runner"] == "The runner has not looked for runs for 11 s."


@pytest.mark.django_db(transaction=True)
async def test_a_runner_beats_only_when_it_could_look(monkeypatch):
    looks: asyncio.Queue[float] = asyncio.Queue()
    trouble = [OperationalError]

    def look(known: set[int]) -> list:
        loop.call_soon_threadsafe(looks.put_nowait, metrics.runner.at)
        for problem in trouble:
            raise problem
        return []

    loop = asyncio.get_running_loop()
    metrics.runner.at = 1.0
    monkeypatch.setattr(runner, "running", look)
    monkeypatch.setattr(runner, "SWEEP", 0.01)
    task = asyncio.create_task(runner.Runner().run())
    async with asyncio.timeout(5):
        assert [await looks.get() for _ in range(3)] == [1.0] * 3
        trouble.clear()
        while await looks.get() == 1.0:
            continue
    task.cancel()
    await asyncio.wait((task,))


def test_a_runner_that_begins_again_and_again_is_missed_and_one_that_is_stopped_is_not():
    metrics.runner.at = 1.0
    with pytest.raises(OSError, match="again"), metrics.runner.expected():
        raise OSError("again")
    with metrics.runner.expected():
        assert metrics.runner.at == 1.0
    with pytest.raises(asyncio.CancelledError), metrics.runner.expected():
        raise asyncio.CancelledError
    assert metrics.runner.age is None


def test_runs_are_counted_by_runbook_and_state(a_run, library, a_runbook):
    library.add("restart.md", a_runbook())
    for state in (State.SUCCEEDED, State.SUCCEEDED, State.FAILED, State.RUNNING, State.QUEUED, State.QUEUED):
        a_run(state=state)
    text = scraped()
    assert value('runbookweb_runs{runbook="restart.md",state="succeeded"}', text) == 2
    assert value('runbookweb_runs{runbook="restart.md",state="failed"}', text) == 1
    assert value("runbookweb_runs_running", text) == 1
    assert value("runbookweb_runs_queued", text) == 2


def test_runs_whose_runbooks_are_gone_are_counted_as_one(a_run):
    for number in range(3):
        a_run(f"gone-{number}.md", state=State.LOST)
    text = scraped()
    assert value('runbookweb_runs{runbook="(gone)",state="lost"}', text) == 3
    assert "gone-" not in text


def requests(method: str, route: str, status: int) -> float:
    labels = f'method="{method}",route="{route}",status="{status}"'
    return value(f"runbookweb_http_requests_total{{{labels}}}", scraped())


def test_requests_are_counted_by_route_and_never_by_what_a_client_makes_up(alice_client, a_run, library, a_runbook):
    library.add("restart.md", a_runbook())
    asked = [("GET", "run", 200), ("GET", "run", 404), ("GET", "none", 404), ("other", "runs", 405)]
    before = [requests(*one) for one in asked]
    alice_client.get(a_run().get_absolute_url())
    alice_client.get("/runs/4711/")
    alice_client.get("/made-up-4711")
    alice_client.generic("MADEUP", "/runs/")
    assert [requests(*one) for one in asked] == [count + 1 for count in before]
    assert "4711" not in scraped()
    assert "MADEUP" not in scraped()


class Silent(Stream):
    """A stream that stays open."""

    def _admit(self) -> None:
        pass

    async def pump(self) -> None:
        await self.send_body(b"here", more_body=True)
        await asyncio.Event().wait()


@pytest.mark.django_db(transaction=True)  # the streams' threads may have connections from other tests
async def test_open_streams_are_counted_and_have_a_correlation_id():
    headers = [(b"host", b"localhost"), (b"x-correlation-id", b"job-7")]
    scope = {"type": "http", "method": "GET", "path": "/runs/", "headers": headers}
    request = ApplicationCommunicator(Silent.as_asgi(), scope)
    await request.send_input({"type": "http.request", "body": b"", "more_body": False})
    start = await request.receive_output(5)
    assert (b"X-Correlation-Id", b"job-7") in start["headers"]
    assert (await request.receive_output(5))["body"] == Silent.greeting
    assert (await request.receive_output(5))["body"] == b"here"
    assert metrics.REGISTRY.get_sample_value("runbookweb_readers") == 1
    await request.send_input({"type": "http.disconnect"})
    await request.wait(5)
    assert metrics.REGISTRY.get_sample_value("runbookweb_readers") == 0


@pytest.fixture
def place(tmp_path: Path, library, a_runbook) -> dict[str, str]:
    """What a server needs: a database and one runbook."""
    library.add("restart.md", a_runbook(requirements={"PASSWORD": "a secret"}, script="echo hello; exit 3"))
    (tmp_path / "served").mkdir()
    place = {"DATA_DIR": str(tmp_path / "served"), "RUNBOOKS_DIR": str(library.root)}
    manage(place, "migrate", "--verbosity", "0")
    return place


def manage(place: dict[str, str], *command: str) -> None:
    subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=os.environ | place, check=True)


@contextlib.contextmanager
def serving(place: dict[str, str], *options: str, **environment: str) -> Iterator[Process]:
    port = free_port()
    environment = {"API_PORT": str(port)} | place | environment
    with running("manage.py", "serve", *options, stdout=Path(place["DATA_DIR"]) / "out", **environment) as server:
        assert server.will_say("ready")
        server.port = port
        yield server


def test_a_server_counts_and_logs_a_run_that_it_has_settled(place):
    with serving(place) as server:
        until(lambda: json.load(server.get("/readyz"))["checks"]["runner"] == "ok")
        manage(place, "shell", "--verbosity", "0", "--command", START)
        ended = 'runbookweb_runs{runbook="restart.md",state="failed"}'
        until(lambda: value(ended, server.get("/metrics").read().decode()) == 1)
        text = server.get("/metrics").read().decode()
        assert value('runbookweb_run_duration_seconds_count{state="failed"}', text) == 1
        assert value("runbookweb_logged_bytes_total", text) == 37 + len("hello\n")
        assert value('runbookweb_http_requests_total{method="GET",route="readyz",status="200"}', text) >= 1
        assert value("process_open_fds", text) > 0
        assert server.stop() == 0
        (line,) = [json.loads(line) for line in server.complaints.splitlines()]
    facts = {"run_id": 1, "runbook": "restart.md", "actor": "alice-secret", "state": "failed", "return_code": 3}
    assert facts | {"level": "INFO", "logger": "runbooks.runs"} == {k: line[k] for k in (*facts, "level", "logger")}
    assert line["message"] == f"restart.md #1: failed after {line['seconds']} s"
    assert "secret" not in text
    assert "hunter2" not in json.dumps(line)


def test_a_server_without_a_runner_is_ready_and_its_log_heeds_the_level(place):
    with serving(place, "--no-runner", LOGGING_LEVEL="CRITICAL") as server:
        assert json.load(server.get("/readyz"))["checks"]["runner"] == "none here"
        Path(place["RUNBOOKS_DIR"], "restart.md").unlink()
        Path(place["RUNBOOKS_DIR"]).rmdir()
        assert server.get("/readyz").status == 503  # which Django logs as an error
        assert server.stop() == 0
        assert server.complaints == ""
