"""The JSON API's plain addresses: what programs ask, and what they get."""

import json
from collections.abc import Callable

import pytest
from django.test import Client

from runbooks.access.actor import Actor
from runbooks.access.tokens import issue
from runbooks.models import Run
from runbookweb import drain

pytestmark = pytest.mark.django_db


@pytest.fixture
def api() -> Callable[..., Client]:
    """A program's client, which sends the token of this actor."""

    def program(subject: str = "alice", *roles: str) -> Client:
        token, _ = issue(Actor(subject, {"roles": roles or ("sre",)}))
        return Client(headers={"Authorization": f"Bearer {token}"})

    return program


def a_run(path: str = "restart.md", **fields: object) -> Run:
    return Run.objects.create(**{"runbook": path, "actor": "alice", "timeout": 600, "source": "# restart", **fields})


def validated(client: Client, path: str, values: object):
    body = json.dumps({"env_vars": values})
    return client.patch(f"/api/runbooks/{path}/validate", body, content_type="application/json")


def test_runbooks_are_listed_by_filename(api, library, a_runbook):
    for path in ("ops/restart.md", "a.md"):
        library.add(path, a_runbook())
    assert api().get("/api/runbooks").json() == {
        "success": True,
        "runbooks": [
            {"filename": "a.md", "name": "a", "path": "a.md"},
            {"filename": "ops/restart.md", "name": "restart", "path": "ops/restart.md"},
        ],
    }


@pytest.mark.parametrize("address", ["ops/restart.md", "ops%2Frestart.md", "ops/restart", "ops%2frestart"])
def test_a_runbook_is_read_by_its_path_in_each_form(api, library, a_runbook, address):
    library.add("ops/restart.md", a_runbook(about="Restarts it."))
    said = api().get(f"/api/runbooks/{address}").json()
    assert (said["success"], said["filename"], said["name"]) == (True, "ops/restart.md", "restart")
    assert "Restarts it." in said["content"]


def test_the_exact_path_of_a_runbook_comes_first(api, library, a_runbook):
    library.add("a.md", a_runbook(about="The short one."))
    library.add("a.md.md", a_runbook(about="The long one."))
    assert "The short one." in api().get("/api/runbooks/a.md").json()["content"]


def test_the_history_is_for_those_who_may_run_it(api, library, a_runbook):
    library.add("a.md", a_runbook(claims={"roles": ["dba"]}, history="the output of the dba"))
    contents = [api("x", role).get("/api/runbooks/a.md").json()["content"] for role in ("sre", "dba")]
    assert ["the output of the dba" in content for content in contents] == [False, True]
    assert "echo hello" in contents[0]


def test_the_variables_that_a_runbook_needs_are_told(api, library, a_runbook, settings, monkeypatch):
    optional = "DRY: {description: try, required: false}"
    library.add("a.md", a_runbook(requirements=f"HOST: the host\nREGION: where\nPORT: {{default: '1'}}\n{optional}"))
    settings.SCRIPT_ENV = ("REGION",)
    monkeypatch.setenv("REGION", "north")
    host, region = {"name": "HOST", "description": "the host"}, {"name": "REGION", "description": "where"}
    port = {"name": "PORT", "description": ""}
    assert api().get("/api/runbooks/a.md/required-env").json() == {
        "success": True,
        "filename": "a.md",
        "required": [host, region, port],
        "available": [region, port],
        "missing": [host],
    }


def test_values_that_fit_are_valid(api, library, a_runbook):
    library.add("a.md", a_runbook(name="a", requirements="PORT: {type: number}\nDRY: {type: boolean}"))
    answer = validated(api(), "a", {"PORT": 5432, "DRY": True})
    assert (answer.status_code, answer.json()) == (
        200,
        {"success": True, "runbook": "a.md", "errors": [], "warnings": []},
    )
    assert not Run.objects.exists()


def test_all_that_a_start_would_be_refused_for_is_told(api, library, a_runbook):
    library.add("a.md", a_runbook(name="a", requirements={"HOST": "the host"}, language="cobol"))
    answer = validated(api(), "a.md", {"LD_PRELOAD": "x"})
    said = answer.json()
    assert (answer.status_code, said["success"], said["runbook"]) == (400, False, "a.md")
    assert len(said["errors"]) == 3
    assert said["errors"][0].startswith("line 20, Script: ")
    assert "LD_PRELOAD: the name is refused" in said["errors"][1]
    assert said["errors"][2] == "HOST: a value is needed."


def test_an_unknown_variable_is_a_warning(api, library, a_runbook):
    library.add("a.md", a_runbook(name="a"))
    answer = validated(api(), "a.md", {"COLOUR": "red"})
    assert answer.status_code == 200
    assert answer.json()["warnings"] == ["COLOUR: the runbook does not ask for this; the script gets it."]


def test_runs_are_listed_newest_first_page_by_page(api, library, a_runbook):
    library.add("restart.md", a_runbook())
    ids = [a_run().pk for _ in range(5)]
    first = api().get("/api/runs?limit=3").json()
    rest = api().get(f"/api/runs?limit=3&before={first['next']}").json()
    assert [run["run_id"] for run in first["runs"] + rest["runs"]] == ids[::-1]
    assert rest["next"] is None


@pytest.mark.parametrize(
    "wanted",
    ["runbook=b.md", "runbook=b", "state=failed", "status=failed", "actor=bob", "parent={parent}", "before={after}"],
)
def test_runs_are_listed_by_what_is_asked_for(api, library, a_runbook, wanted):
    for path in ("restart.md", "b.md"):
        library.add(path, a_runbook())
    parent = a_run() if "parent" in wanted else None
    run = a_run("b.md", state="failed", actor="bob", parent=parent)
    other = a_run()
    said = api().get("/api/runs?" + wanted.format(parent=parent and parent.pk, after=other.pk)).json()
    assert [found["run_id"] for found in said["runs"]] == [run.pk]


def test_runs_of_others_are_not_listed_without_the_claims(api, library, a_runbook):
    library.add("restart.md", a_runbook(claims={"roles": ["dba"]}))
    a_run()
    assert api().get("/api/runs").json()["runs"] == []
    assert len(api("dora", "dba").get("/api/runs").json()["runs"]) == 1


def test_a_list_of_runs_takes_few_queries(api, library, a_runbook, django_assert_max_num_queries):
    library.add("restart.md", a_runbook())
    parent = a_run()
    for _ in range(20):
        a_run(parent=parent)
    with django_assert_max_num_queries(1):
        assert len(api().get("/api/runs").json()["runs"]) == 21


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("limit=0", "limit: "),
        ("limit=501", "limit: "),
        ("limit=many", "limit: "),
        ("state=asleep", "state: "),
        ("before=-1", "before: "),
        (f"before={2**63}", "before: "),
        ("runbook=%00", "runbook: "),
    ],
)
def test_a_filter_that_cannot_be_read_is_refused_in_words(api, query, says):
    answer = api().get(f"/api/runs?{query}")
    assert (answer.status_code, answer.json()["success"]) == (400, False)
    assert says in answer.json()["error"]


def test_a_run_is_cancelled_once_and_answered_again(api, library, a_runbook):
    library.add("restart.md", a_runbook())
    run = a_run()
    answers = [api().post(f"/api/runs/{run.pk}/cancel") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert (answers[0].json()["status"], answers[0].json()["cancelled_by"]) == ("cancelled", "alice")


@pytest.mark.parametrize("address", ["/api/runs/999/cancel", f"/api/runs/{2**64}/cancel", "/api/runs/x/cancel"])
def test_what_is_not_there_cannot_be_cancelled(api, library, address):
    answer = api().post(address)
    assert (answer.status_code, answer.json()["success"]) == (404, False)


def test_the_configuration_names_each_source_and_no_secret(api, settings):
    said = api("alice", "sre", "api").get("/api/config").json()
    items = {item["name"]: item for item in said["config_items"]}
    assert items["SECRET_KEY"]["value"] == "***"
    assert settings.CONFIGURATION.SECRET_KEY not in json.dumps(said)
    assert items["SCRIPT_TIMEOUT_SECONDS"] == {"name": "SCRIPT_TIMEOUT_SECONDS", "value": "600", "from": "default"}
    claims = {"roles": ["sre", "api"]}
    assert said["token"] == {"user_id": "alice", "remote_ip": "127.0.0.1", "claims": claims, **claims}


def test_an_administrator_shuts_the_server_down(api):
    answer = api("root", "admin").post("/api/shutdown")
    assert (answer.status_code, answer.json()["success"]) == (200, True)
    assert drain.is_draining()


def test_nobody_else_shuts_it_down(api):
    answer = api().post("/api/shutdown")
    assert answer.status_code == 403
    assert "roles: admin" in answer.json()["error"]
    assert not drain.is_draining()


def pinned(client: Client, run: Run, body: object) -> tuple[int, dict]:
    answer = client.post(f"/api/runs/{run.pk}/pin", json.dumps(body), content_type="application/json")
    return answer.status_code, answer.json()


def test_a_run_is_pinned_and_let_go(api, library, a_runbook):
    library.add("restart.md", a_runbook())
    run = a_run()
    for body, is_pinned in (({}, True), ({"pinned": True}, True), ({"pinned": False}, False)):
        status, said = pinned(api(), run, body)
        assert (status, said["run_id"], said["is_pinned"]) == (200, run.pk, is_pinned)
        assert api().get("/api/runs").json()["runs"][0]["is_pinned"] == is_pinned


@pytest.mark.parametrize("body", [{"pinned": "yes"}, {"pinned": 1}, {"pinned": None}])
def test_a_wish_to_pin_that_cannot_be_read_changes_nothing(api, library, a_runbook, body):
    library.add("restart.md", a_runbook())
    run = a_run()
    status, said = pinned(api(), run, body)
    assert (status, said["errors"]) == (400, ["pinned: it must be true or false."])
    assert not Run.objects.get().is_pinned
