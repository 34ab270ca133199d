"""A run's folder is deleted under it: the run is settled as it is, never started twice, and whoever asks is told."""

import contextlib
import shutil
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.conftest import runbook_source
from tests.faults.person import signed_in_person
from tests.processes import Process, until
from tests.serving import Site, signed_in

# It says in a file of its own that it has begun, and that it goes on: a script without a folder has no log.
COUNT = 'echo "$RUNBOOK_RUN_ID" >> {0}.starts; echo begun; until [ -e {0} ]; do date +%N > {0}.beat; sleep 0.05; done'
DELETED = "Its folder was deleted while it ran, and what it printed with it."
READ = ("/runs/1/", "/runs/", "/runbooks/count.md/", "/api/runs/1", "/api/runs/1?after=0", "/api/runs", "/metrics")
STREAMS = ("/runs/1/events/", "/api/runs/1/events", "/api/runs/1?wait=9")
DOWNLOADS = ("/runs/1/log.txt", "/api/runs/1/log")


@pytest.fixture
def count(site: Site, go) -> Callable[[], list[str]]:
    """Put count.md into the library; what is returned says which runs' scripts have begun, once for each time."""
    (site.runbooks / "count.md").write_text(runbook_source(name="count", script=COUNT.format(go)))
    starts = go.with_name("go.starts")
    return lambda: starts.read_text().split() if starts.exists() else []


@pytest.fixture
def server(site: Site, count) -> Iterator[Process]:
    with site.serving(MAX_CONCURRENT_RUNS="1", LOGGING_LEVEL="WARNING") as server:
        yield server


@pytest.fixture
def client(server: Process) -> httpx.Client:
    """A browser that has a token, too: every address answers it."""
    client = signed_in_person(server)
    client.program = signed_in(server, "sre")
    client.headers["Authorization"] = client.program.authorization
    return client


def start(client: httpx.Client) -> None:
    assert client.program.execute("count.md")[0] == 202


def state(site: Site) -> str:
    return site.query("state")[0][0]


def delete(site: Site, run: int = 1) -> None:
    shutil.rmtree(site.data / f"runs/{run}")


def goes_on(go) -> bool:
    """Whether the script writes its beat, within half a second."""
    beat = go.with_name("go.beat")
    beat.unlink(missing_ok=True)
    with contextlib.suppress(AssertionError):
        return until(beat.exists, seconds=0.5)
    return False


def test_a_run_that_goes_on_is_lost_its_streams_end_and_so_does_its_script(site, server, client, count, go):
    start(client)
    until(lambda: goes_on(go))
    with contextlib.ExitStack() as streams:
        answers = [streams.enter_context(client.stream("GET", path)) for path in STREAMS]
        delete(site)
        assert ["lost" in "".join(answer.iter_text()) for answer in answers] == [True] * len(STREAMS)
    until(lambda: not goes_on(go))
    assert DELETED in site.query("warnings")[0][0]
    assert count() == ["1"]
    assert server.complaints == ""


def test_whoever_asks_for_a_run_without_a_folder_is_told(site, server, client, count):
    start(client)
    until(count)
    delete(site)
    answers = {path: client.get(path).status_code for path in (*READ, *STREAMS, *DOWNLOADS)}
    assert answers == dict.fromkeys((*READ, *STREAMS), 200) | dict.fromkeys(DOWNLOADS, 404)
    until(lambda: state(site) == "lost", seconds=5)
    page = client.get("/runs/1/").text
    assert DELETED in page
    assert "What the script printed is not there any more." in page
    assert client.get("/api/runs/1").json()["warnings"][0] == DELETED
    assert client.get("/api/runs/1/log").json()["error"] == "The log of this run is not there any more."
    assert server.complaints == ""


def test_a_queued_run_is_harmed_by_nothing_and_begins_once(site, server, client, count, go):
    start(client)
    start(client)
    until(lambda: count() == ["1"])
    delete(site, run=2)
    assert client.get("/runs/2/").status_code == client.get("/runs/2/log.txt").status_code == 200
    go.touch()
    until(lambda: site.query("state") == [("succeeded",)] * 2)
    assert count() == ["1", "2"]
    assert "begun" in site.printed(2)
    assert server.complaints == ""


def test_the_folders_of_all_runs_at_once(site, server, client, count, go):
    start(client)
    start(client)
    until(lambda: count() == ["1"])
    shutil.rmtree(site.data / "runs")
    until(lambda: site.query("state") == [("lost",), ("running",)], seconds=10)
    go.touch()
    until(lambda: site.query("state") == [("lost",), ("succeeded",)])
    assert count() == ["1", "2"]
    start(client)
    until(lambda: site.query("state")[2] == ("succeeded",))


def test_a_run_that_ended_while_no_server_was_there_is_lost_and_not_started_again(site, count, go):
    with site.serving() as server:
        signed_in(server, "sre").execute("count.md")
        until(lambda: count() == ["1"])
    go.touch()
    until(lambda: (site.data / "runs/1/result").exists())
    delete(site)
    with site.serving() as server:
        until(lambda: state(site) == "lost")
        assert server.get("/healthz").status == 200
    assert count() == ["1"]


def test_a_run_whose_end_is_recorded_stays_as_it_is(site, server, client, go):
    go.touch()
    start(client)
    until(lambda: state(site) == "succeeded")
    delete(site)
    assert [client.get(path).status_code for path in (*READ, *STREAMS)] == [200] * len(READ + STREAMS)
    assert "What the script printed is not there any more." in client.get("/runs/1/").text
    assert [client.get(path).status_code for path in DOWNLOADS] == [404, 404]
    assert state(site) == "succeeded"
    assert server.complaints == ""
