"""The queue under load and in races: each run once, in turn, never too many, and no two that wait for each other."""

import http.client
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import accumulate, pairwise
from pathlib import Path

import httpx
import pytest
from django.db import connection

from runbooks.models import Run
from tests.conftest import WAIT, runbook_source
from tests.faults.person import signed_in_person
from tests.processes import ROOT, Process, running, until
from tests.serving import Program, Site, signed_in

# Tries to take each queued run, until there are none; settles at once what has to make room for others.
TAKER = """
import os, django
django.setup()
from django.db import connections
default = connections.settings["default"]
default["NAME"] = os.environ["DATABASE"]
default["OPTIONS"]["init_command"] = "PRAGMA synchronous=OFF"  # as many races in a tenth of the time
from runbooks.models import Run, State
queued, taken = Run.objects.filter(state=State.QUEUED).order_by("pk").only("runbook", "concurrency"), []
runs = list(queued)
print("ready", flush=True)
input()
while runs:
    for run in runs:
        if run.take():
            taken.append(run.pk)
            if run.concurrency:
                run.move(State.RUNNING, state=State.SUCCEEDED)
    runs = list(queued.all())
print(*taken)
"""
# The database itself looks, within each take: nothing can slip through between two questions.
WATCHED = """CREATE TRIGGER watched AFTER UPDATE OF state ON runbooks_run WHEN NEW.state = 'running' AND (
    OLD.state != 'queued'
    OR NEW.concurrency < (SELECT count(*) FROM runbooks_run WHERE runbook = NEW.runbook AND state = 'running')
) BEGIN SELECT RAISE(ABORT, 'taken twice, or too many'); END"""
CALL = (
    """curl -s -X POST "$RUNBOOK_URL/{}/execute" -H "$RUNBOOK_H_AUTH" -H "$RUNBOOK_H_CTYPE" -d '{{"env_vars": {{}}}}'"""
)
GOING = "Only 1 run of this runbook may go on at once (its concurrency), and #{} does. "


@pytest.fixture
def watched(database: Path) -> Iterator[Path]:
    """A database that takes no second take of a run, nor one more than may go on."""
    with connection.cursor() as cursor:
        cursor.execute(WATCHED)
    yield database
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER watched")


def add_rows(count: int, **fields: object) -> None:
    runs = [Run(runbook=f"{random.choice('AB')}.md", actor="a", timeout=1, source="", **fields) for _ in range(count)]
    Run.objects.bulk_create(runs, batch_size=500)


def raced(database: Path, settings, *, processes: int = 4) -> list[int]:
    """The runs that this many processes have taken, which all begin at the same moment, each with the oldest."""
    environment = os.environ | {"DATABASE": str(database), "DATA_DIR": str(settings.DATA_DIR), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", TAKER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    takers = [subprocess.Popen(command, cwd=ROOT, env=environment, **pipes) for _ in range(processes)]
    assert [taker.stdout.readline() for taker in takers] == ["ready\n"] * processes
    for taker in takers:
        taker.stdin.write("go\n")
        taker.stdin.flush()
    said = [taker.communicate(timeout=60)[0] for taker in takers]
    assert [taker.returncode for taker in takers] == [0] * processes
    return [int(pk) for taken in said for pk in taken.split()]


def test_of_ten_thousand_takes_by_four_processes_one_in_four_succeeds(watched, settings):
    add_rows(2_500)
    taken = raced(watched, settings)
    assert len(set(taken)) == len(taken) == Run.objects.filter(state="running").count() == 2_500


def test_four_processes_never_take_more_runs_of_a_runbook_than_may_go_on(watched, settings):
    for concurrency in (1, 2):
        add_rows(120, concurrency=concurrency)
    taken = raced(watched, settings)
    assert len(set(taken)) == len(taken) == Run.objects.filter(state="succeeded").count() == 240


@pytest.fixture
def order(tmp_path: Path) -> Path:
    """Where scripts write down that they run."""
    return tmp_path / "order"


def add(site: Site, name: str, script: str, **contents: object) -> None:
    (site.runbooks / f"{name}.md").write_text(runbook_source(name=name, script=script, **contents))


def ask_often(program: Program, path: str, count: int) -> None:
    """Queue many runs, one request after the other."""
    headers = {"Content-Type": "application/json", "Authorization": program.authorization, "Prefer": "respond-async"}
    with closing(http.client.HTTPConnection("127.0.0.1", program.server.port, timeout=20)) as client:
        for _ in range(count):
            client.request("POST", f"/api/runbooks/{path}/execute", body="{}", headers=headers)
            answer = client.getresponse()
            assert (answer.status, answer.read()[:1]) == (202, b"{")


def states(site: Site) -> list[str]:
    return [state for (state,) in site.query("state")]


def are_all_over(site: Site) -> bool:
    return not {"queued", "running"} & set(states(site))


def most_at_once(site: Site) -> int:
    moments = [(began, 1) for (began,) in site.query("started_at")] + [(end, -1) for (end,) in site.query("ended_at")]
    return max(accumulate(change for _, change in sorted(moments)))


def test_of_five_hundred_runs_each_runs_once_in_turn_and_never_more_than_twenty(site, go, order):
    add(site, "many", f"{WAIT.format(go)}; echo $RUNBOOK_RUN_ID >> {order}")
    with site.serving(MAX_CONCURRENT_RUNS="20", HISTORY_ENTRIES="0") as server:
        ask_often(signed_in(server), "many.md", 500)
        assert states(site).count("running") <= 20
        go.touch()
        until(lambda: are_all_over(site), seconds=120)
    assert set(states(site)) == {"succeeded"}
    assert sorted(map(int, order.read_text().split())) == list(range(1, 501))
    started = site.query("started_at")
    assert started == sorted(started)
    assert most_at_once(site) == 20


def test_two_runners_share_sixty_runs(site, order):
    add(site, "many", f"echo $RUNBOOK_RUN_ID >> {order}")
    folders = {"DATA_DIR": str(site.data), "RUNBOOKS_DIR": str(site.runbooks), "HISTORY_ENTRIES": "0"}
    with site.serving(HISTORY_ENTRIES="0") as server, ExitStack() as stack:
        runner = stack.enter_context(running("manage.py", "runner", stdout=site.data / "runner", **folders))
        assert runner.will_say("ready")
        ask_often(signed_in(server), "many.md", 60)
        until(lambda: are_all_over(site), seconds=60)
        until(lambda: (server.complaints + runner.complaints).count(": succeeded after") == 60)
        assert "Traceback" not in server.complaints + runner.complaints
    assert states(site) == ["succeeded"] * 60
    assert sorted(map(int, order.read_text().split())) == list(range(1, 61))


@pytest.fixture
def gate(site, tmp_path) -> Callable[[int], None]:
    """Let a run of alone.md end, of which only one may go on at once."""
    script = f'echo $RUNBOOK_RUN_ID; until [ -e "{tmp_path}/end-$RUNBOOK_RUN_ID" ]; do sleep 0.02; done'
    add(site, "alone", script, settings={"concurrency": 1}, requirements={"PASSWORD": "{secret: true, default: x}"})
    return lambda run: (tmp_path / f"end-{run}").touch()


def waiting_for(program: Program, run: int) -> str | None:
    return program("GET", f"/api/runs/{run}")[1]["waiting_for"]


def live(server: Process, stack: ExitStack, run: int) -> Iterator[str]:
    """The lines that the open page of a run is sent."""
    person = signed_in_person(server)
    return stack.enter_context(person.stream("GET", f"/runs/{run}/events/", timeout=httpx.Timeout(20))).iter_lines()


def test_runs_of_a_runbook_wait_for_each_other_and_everybody_is_told(site, gate):
    add(site, "other", "echo other")
    with site.serving() as server, ExitStack() as stack:
        program = signed_in(server)
        for path in ("alone.md", "alone.md", "alone.md", "other.md"):
            program.execute(path)
        until(lambda: states(site) == ["running", "queued", "queued", "succeeded"])
        until(lambda: waiting_for(program, 3) == GOING.format(1) + "1 run waits before this one.")
        assert waiting_for(program, 1) is None
        assert '<a href="/runs/1/">#1</a> does. 1 run waits' in signed_in_person(server).get("/runs/3/").text
        shown = live(server, stack, 3)
        gate(1)
        assert any('<a href="/runs/2/">#2</a> does. This one is the next.' in line for line in shown)
        gate(2)
        assert any("badge--running" in line for line in shown)
        gate(3)
        until(lambda: are_all_over(site))
    assert (set(states(site)), most_at_once(site)) == ({"succeeded"}, 2)  # with the other
    times = [(began, end) for began, end in site.query("started_at, ended_at")][:3]
    assert times == sorted(times)
    assert all(end <= began for (_, end), (began, _) in pairwise(times))


def test_a_queued_run_that_is_cancelled_never_starts_and_its_secrets_are_gone(site, gate):
    with site.serving(MAX_CONCURRENT_RUNS="2") as server:
        program = signed_in(server)
        asked = {"env_vars": {"PASSWORD": "hunter2-hunter2"}}
        for path in ("alone.md", "alone.md", "alone.md", "wait.md", "wait.md"):
            program("POST", f"/api/runbooks/{path}/execute", asked, Prefer="respond-async")
        until(lambda: states(site) == ["running", "queued", "queued", "running", "queued"])
        assert [sealed is None for (sealed,) in site.query("sealed_values")][1:3] == [False, False]
        for run in (2, 5):
            assert program("POST", f"/api/runs/{run}/cancel")[1]["status"] == "cancelled"
        assert waiting_for(program, 2) is None
        gate(1)
        until(lambda: states(site)[:3] == ["succeeded", "cancelled", "running"])
        gate(3)
        program("POST", "/api/runs/4/cancel")
        until(lambda: are_all_over(site))
    assert states(site) == ["succeeded", "cancelled", "succeeded", "cancelled", "cancelled"]
    assert [started for (started,) in site.query("started_at")][1::3] == [None, None]
    assert {sealed for (sealed,) in site.query("sealed_values")} == {None}
    assert not any((site.data / f"runs/{run}/started").exists() for run in (2, 5))


def test_a_parent_that_waits_for_its_sub_run_needs_no_second_place(site):
    add(site, "outer", CALL.format("inner"), settings={"concurrency": 1})
    add(site, "inner", "echo inner", settings={"concurrency": 1})
    with site.serving(MAX_CONCURRENT_RUNS="1") as server:
        program = signed_in(server)
        for _ in range(2):
            program.execute("outer.md")
        until(lambda: states(site) == ["succeeded"] * 4)
    assert [runbook for (runbook,) in site.query("runbook")] == ["outer.md", "outer.md", "inner.md", "inner.md"]


def test_of_two_runs_that_wait_for_each_others_places_the_younger_sub_run_fails(site, go):
    for one, other in ("AB", "BA"):
        add(site, one, f"{WAIT.format(go)}; {CALL.format(other)}", settings={"concurrency": 1})
    with site.serving() as server:
        program = signed_in(server)
        for path in ("A.md", "B.md"):
            program.execute(path)
        until(lambda: states(site) == ["running", "running"])
        go.touch()
        until(lambda: are_all_over(site) and len(states(site)) == 4, seconds=30)
        [told] = program("GET", "/api/runs/4")[1]["warnings"]
    assert states(site) == ["succeeded", "succeeded", "succeeded", "failed"]
    [(path, parent)] = site.query("runbook, parent_id")[3:]
    assert told.startswith(f"could not start: it would wait for ever (concurrency): it needs the place of {path[0]} #")
    assert '"return_code": 127' in site.printed(parent)
    assert f"[runbook] {path} #4 {told}" in site.printed(parent)
