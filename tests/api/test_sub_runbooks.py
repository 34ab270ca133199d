"""Scripts that run other runbooks by the API, as authors write them, on a server with room for one run at a time."""

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.clients import Program
from tests.browser.server import Server
from tests.processes import ROOT, until

CURL = 'curl -s -X POST "$RUNBOOK_URL/%s/execute"'
BODY = """-d '{"env_vars":{}}'"""
CALL = f'{CURL} -H "$RUNBOOK_H_AUTH" -H "$RUNBOOK_H_CORR" -H "$RUNBOOK_H_RECUR" -H "$RUNBOOK_H_CTYPE" {BODY}'
WITHOUT_STACK = f'{CURL} -H "$RUNBOOK_H_AUTH" -H "$RUNBOOK_H_CTYPE" {BODY}'
BY_HEADERS = f"""printf '%%s\\n' "$RUNBOOK_HEADERS" | {CURL} -H @- {BODY}"""
WAIT = 'until [ -e "$GO" ]; do sleep 0.05; done'
SCRIPTS = {
    "Child.md": "echo I am the child",
    "Parent.md": CALL % "Child.md",
    "Short.md": CALL % "Child",
    "Far.md": CALL % "ops%2FFar%20child.md",
    "ops/Far child.md": "echo I am far",
    "Headers.md": BY_HEADERS % "Child.md",
    "A.md": CALL % "B.md",
    "B.md": CALL % "A.md",
    "Sly.md": WITHOUT_STACK % "Slyer.md",
    "Slyer.md": WITHOUT_STACK % "Sly.md",
    "D0.md": CALL % "D1.md",
    "D1.md": CALL % "D2.md",
    "D2.md": CALL % "D3.md",
    "D3.md": CALL % "D4.md",
    "D4.md": "echo too deep",
    "Asks.md": CALL % "Guarded.md",
    "Tells.md": 'printf %s "$RUNBOOK_API_TOKEN" > "$FILE"',
    "Waits.md": (CALL % "Waiting.md").replace("{}", """{"GO":"'$GO'"}"""),
    "Waiting.md": WAIT,
}
ASKED = {"Waits.md": {"GO": ""}, "Waiting.md": {"GO": "A file"}, "Tells.md": {"FILE": "Where"}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("sub-runbooks"))
    claims = {"Guarded.md": {"roles": ["dba"]}}
    for path, script in (SCRIPTS | {"Guarded.md": "echo for few"}).items():
        server.add(path, script=script, requirements=ASKED.get(path, ""), claims=claims.get(path))
    for name in ("Check-everything.md", "Hello.md"):
        shutil.copy(ROOT / "samples" / name, server.runbooks)
    try:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("MAX_CONCURRENT_RUNS", "1")
            environment.setenv("MAX_RECURSION_DEPTH", "3")
            server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def alice(server: Server) -> Iterator[Program]:
    with Program(server, "alice", "sre") as alice:
        yield alice


@pytest.fixture
def dora(server: Server) -> Iterator[Program]:
    with Program(server, "dora", "dba") as dora:
        yield dora


def answer_to(script: dict) -> dict:
    """What the API answered to the script of this run."""
    assert script["status"] == "succeeded", script
    return json.loads(script["stdout"])


def rows(server: Server, columns: str) -> list[tuple]:
    with contextlib.closing(sqlite3.connect(server.data / "db.sqlite3")) as database:
        return database.execute(f"SELECT {columns} FROM runbooks_run ORDER BY id").fetchall()  # noqa: S608


@pytest.mark.parametrize("parent", ["Parent.md", "Short.md", "Headers.md"])
def test_a_script_runs_another_runbook_and_gets_its_answer(alice, parent):
    run = alice.execute(parent).json()
    child = answer_to(run)
    assert (child["success"], child["stdout"], child["actor"]) == (True, "I am the child\n", "alice")
    assert child["parent"] == run["run_id"]


def test_a_runbook_in_a_folder_is_called_by_its_encoded_path(alice):
    assert answer_to(alice.execute("Far.md").json())["stdout"] == "I am far\n"


def test_parent_and_child_have_the_correlation_id_of_the_one_request(alice, server):
    alice.execute("Parent.md", **{"X-Correlation-Id": "deploy-7"})
    assert [row for row in rows(server, "runbook, correlation_id") if row[1] == "deploy-7"] == [
        ("Parent.md", "deploy-7"),
        ("Child.md", "deploy-7"),
    ]


@pytest.mark.parametrize(("first", "second"), [("A", "B"), ("Sly", "Slyer")])
def test_a_loop_is_refused_whether_the_script_tells_of_it_or_not(alice, first, second):
    run = alice.execute(f"{first}.md").json()
    between = answer_to(run)
    refused = answer_to(between)
    sentence = f"A runbook cannot run within itself: {first}.md → {second}.md → {first}.md."
    assert refused == {"success": False, "error": sentence}
    assert between["stderr"] == f"[runbook] refused: {first}.md: {sentence}\n"
    assert run["stderr"] == ""


def test_runs_within_a_run_need_no_room_and_are_not_too_deep(alice):
    run = alice.execute("D0.md").json()
    deepest = answer_to(answer_to(answer_to(run)))
    assert "More than 3 runbooks" in answer_to(deepest)["error"]
    assert "D0.md → D1.md → D2.md → D3.md" in deepest["stderr"]


def test_the_child_may_do_what_the_caller_may(alice, dora, server):
    run = alice.execute("Asks.md").json()
    assert answer_to(run)["error"] == "You need one of these roles: dba. You have: sre."
    assert run["stderr"] == "[runbook] refused: Guarded.md: You need one of these roles: dba. You have: sre.\n"
    assert rows(server, "runbook, state, parent_id, actor")[-1] == ("Guarded.md", "refused", run["run_id"], "alice")
    assert answer_to(dora.execute("Asks.md").json())["stdout"] == "for few\n"


def test_a_token_dies_with_its_run(alice, server, tmp_path):
    file = tmp_path / "token"
    run = alice.execute("Tells.md", {"env_vars": {"FILE": str(file)}}).json()
    assert run["status"] == "succeeded"
    with_token = {"Authorization": f"Bearer {file.read_text()}"}
    answer = httpx.post(f"{server.url}/api/runbooks/Child.md/execute", json={}, headers=with_token)
    assert (answer.status_code, answer.json()["error"]) == (401, "The token was made for a run that has ended.")


def test_who_cancels_a_run_cancels_those_that_it_waits_for(alice, server, tmp_path):
    parent = alice.begin("Waits.md", GO=str(tmp_path / "never"))
    until(lambda: (parent, "running") in rows(server, "parent_id, state"))
    child = rows(server, "id")[-1][0]
    assert alice.client.post(f"/api/runs/{parent}/cancel").status_code == 200
    ended = [alice.ended(run) for run in (parent, child)]
    assert [(run["status"], run["cancelled_by"]) for run in ended] == [("cancelled", "alice")] * 2


def test_other_runs_still_wait_for_their_turn(alice, server, tmp_path):
    go = tmp_path / "go"
    parent = alice.begin("Waits.md", GO=str(go))
    until(lambda: (parent, "running") in rows(server, "parent_id, state"))
    other = alice.begin("Child.md")
    assert alice.run(other, wait=1)["status"] == "queued"
    go.touch()
    assert alice.ended(other)["status"] == alice.ended(parent)["status"] == "succeeded"
    assert Path(server.log).read_text().count("Traceback") == 0


def test_the_sample_says_which_of_its_runbooks_failed(alice):
    run = alice.execute("Check-everything.md", {"env_vars": {"RUNBOOKS": "Hello Missing"}}).json()
    assert (run["return_code"], run["stdout"]) == (1, "Hello:\n  is well\nMissing:\n")
    assert run["stderr"].startswith('  failed: {"success": false, "error": "There is no runbook Missing')
