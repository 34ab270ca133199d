"""A drain ends the server when it has answered, starts nothing more, and leaves scripts alone."""

import contextlib
import http.client
import threading

import pytest
from django.test import Client

from runbooks.access.actor import Actor
from runbooks.execution import control
from runbooks.execution.runner import Runner
from runbooks.library import runbook_for
from runbooks.models import Run
from runbooks.threads import in_thread
from runbookweb import drain
from tests.processes import until
from tests.serving import answer_of, signed_in


def test_a_program_is_told_that_no_run_starts(db, library, a_runbook):
    library.add("restart.md", a_runbook())
    alice = Actor("alice")
    drain.begin()
    with pytest.raises(control.Draining, match="starts no more runs"):
        control.start_run(alice, runbook_for(alice, "restart.md"), values={})
    assert not Run.objects.exists()


def test_a_person_is_told_that_no_run_starts(alice_client, library, a_runbook):
    library.add("restart.md", a_runbook())
    drain.begin()
    answer = alice_client.post("/runbooks/restart.md/runs/")
    assert answer.status_code == 503
    assert drain.SENTENCE in answer.content.decode()


@pytest.mark.django_db
def test_a_load_balancer_is_told_to_go_elsewhere(settings, library):
    settings.DATA_DIR.mkdir()
    assert Client().get("/readyz").status_code == 200
    drain.begin()
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["server"]) == (503, drain.SENTENCE)


@pytest.mark.django_db(transaction=True)
async def test_the_runner_leaves_what_waits_to_the_next(library, a_runbook):
    library.add("restart.md", a_runbook())
    alice = Actor("alice")
    runbook = await in_thread(runbook_for, alice, "restart.md")
    run = await in_thread(control.start_run, alice, runbook, values={})
    drain.begin()
    await Runner().look()
    await in_thread(run.refresh_from_db)
    assert run.state == "queued"


def test_it_waits_for_who_is_being_answered_and_ends_once():
    ends, ended = [], threading.Event()
    ending = drain.Drain(end=lambda: (ends.append("end"), ended.set()), patience=60)
    with ending.answering():
        ending.begin()
        ending.begin()
        assert not ends
    assert ended.wait(15)
    assert ends == ["end"]


def test_it_does_not_wait_for_ever():
    ended = threading.Event()
    ending = drain.Drain(end=ended.set, patience=0.01)
    with ending.answering():
        ending.begin()
        assert ended.wait(15)


def test_a_script_survives_the_shutdown_and_the_next_server_settles_it(site, go):
    with site.serving(MAX_CONCURRENT_RUNS="1") as server:
        admin = signed_in(server, "admin")
        assert [admin.execute("wait.md")[0] for _ in range(2)] == [202, 202]
        until(lambda: "begun" in site.printed(1))
        status, said = admin("POST", "/api/shutdown")
        assert (status, said["success"]) == (200, True)
        assert server.process.wait(10) == 0
    assert site.query("state") == [("running",), ("queued",)]
    go.touch()
    with site.serving():
        until(lambda: site.query("state, return_code") == [("succeeded", 0)] * 2)
    assert "gone on" in site.printed(1)


def test_until_it_has_answered_it_refuses_runs_and_is_not_ready(site):
    with site.serving() as server:
        admin = signed_in(server, "admin")
        _, run = admin.execute("wait.md")
        until(lambda: "begun" in site.printed(1))
        with site.locked():
            being_answered = admin.ask("POST", f"/api/runs/{run['run_id']}/cancel")
            assert admin("POST", "/api/shutdown")[0] == 200
            assert admin.execute("wait.md") == (503, {"success": False, "error": drain.SENTENCE})
            assert admin("GET", "/readyz")[0] == 503
            assert admin("POST", "/api/shutdown")[0] == 200
            assert server.process.poll() is None
        assert answer_of(being_answered)[0] == 200
        assert server.process.wait(10) == 0
    assert site.query("count(*)") == [(1,)]


def test_streams_and_synchronous_calls_are_not_waited_for(site):
    with site.serving() as server:
        admin = signed_in(server, "admin")
        answer = admin.ask("POST", "/api/runbooks/wait.md/execute", {"env_vars": {}}).getresponse()
        assert answer.getheader("Location") == "/api/runs/1"
        assert admin("POST", "/api/shutdown")[0] == 200
        assert server.process.wait(4) == 0  # less than the patience for those who are being answered
        with contextlib.suppress(http.client.IncompleteRead):
            assert answer.read().strip() == b""


def test_only_an_admin_may_end_the_server(site):
    with site.serving() as server:
        status, said = signed_in(server, "sre")("POST", "/api/shutdown")
        assert (status, said["success"]) == (403, False)
        assert server.get("/readyz").status == 200
