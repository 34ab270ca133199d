"""Whatever goes wrong, a program gets a status and a sentence as JSON, and no cookie."""

import json

import pytest
from django.db import OperationalError
from django.http import Http404
from django.test import Client

from runbooks import library as files
from runbooks.access.actor import Actor
from runbooks.access.tokens import NoKeys, issue
from runbooks.api.bodies import read_body
from runbooks.api.errors import LONGEST_ERROR, LONGEST_SENTENCE, MOST_BYTES, MOST_ERRORS, ApiError, body_of, failure_of
from runbooks.api.schemas import ExecuteBody
from runbooks.document.validate import InvalidValues
from runbooks.execution import control
from tests.conftest import client_of

pytestmark = pytest.mark.django_db
JSON = "application/json"


@pytest.fixture
def program(library, a_runbook) -> Client:
    library.add("a.md", a_runbook(name="a"))
    return Client(headers={"Authorization": f"Bearer {issue(Actor('alice', {'roles': ('sre',)}))[0]}"})


def told(answer) -> tuple[int, str]:
    """The status and the sentence of a failure, which is JSON and sets no cookie."""
    assert answer.headers["Content-Type"] == JSON
    assert answer.headers["Cache-Control"] == "no-store"
    assert not answer.cookies
    assert not answer.has_header("Vary")
    assert answer.json()["success"] is False
    return answer.status_code, answer.json()["error"]


@pytest.mark.parametrize(
    ("problem", "status"),
    [
        (control.NotConfirmed(), 409),
        (control.CannotRun("The disk is full."), 409),
        (control.NoRoom("The disk is full."), 503),
        (control.Recursion("a.md would run within itself."), 409),
        (control.Draining("The server ends."), 503),
        (control.BadKey("A key has 1 to 255 characters."), 400),
        (NoKeys(), 503),
        (Http404("There is no run #7."), 404),
        (ApiError(418, "It is a teapot."), 418),
        (InvalidValues({"HOST": "a value is needed."}), 400),
        (OperationalError("database is locked by hunter2"), 503),
        (KeyError("the password is hunter2"), 500),
    ],
)
def test_each_problem_has_its_status_and_a_sentence(problem, status):
    error = failure_of(problem)
    body = body_of(error)
    assert (error.status, body["success"]) == (status, False)
    assert body["error"].endswith(".")
    assert "hunter2" not in json.dumps(body)


def test_values_that_do_not_fit_are_told_one_by_one():
    body = body_of(failure_of(InvalidValues({"HOST": "a value is needed.", "PORT": "this must be a number."})))
    assert body["errors"] == ["HOST: a value is needed.", "PORT: this must be a number."]
    assert body["warnings"] == []


def test_of_many_and_long_mistakes_the_first_are_told_and_how_many_there_are():
    body = body_of(failure_of(InvalidValues({f"V{number}": "x" * 10_000 for number in range(MOST_ERRORS + 7)})))
    assert [error.partition(":")[0] for error in body["errors"]] == [f"V{number}" for number in range(MOST_ERRORS)]
    assert {len(error) for error in body["errors"]} == {LONGEST_ERROR + len("…")}
    assert len(body["error"]) < LONGEST_SENTENCE + 50
    assert body["error"].endswith("… And 7 more.")


def test_a_fault_of_ours_is_told_with_the_id_that_the_log_has(program, monkeypatch, caplog):
    def fail() -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr(files, "runbooks", fail)
    status, sentence = told(program.get("/api/runbooks", headers={"X-Correlation-Id": "its-id"}))
    assert status == 500
    assert "its-id" in sentence
    assert "hunter2" not in sentence
    assert "hunter2" in caplog.text


@pytest.mark.parametrize(
    "address",
    [
        *("/api", "/api/", "/api/nothing", "/api/runbooks/", "/api/runs/1/nothing", "/api/runs/0x1/cancel"),
        *("/api/runbooks/no.md", "/api/runbooks/%00", "/api/runbooks/%FF.md", "/api/runbooks/a%0A.md"),
        *("/api/runbooks/../settings.py", "/api/runbooks/%2e%2e%2fa.md", "/api/runbooks//etc/passwd"),
        "/api/runbooks/" + "a" * 10_000,
    ],
)
def test_what_is_not_there_is_not_found_in_words(program, address):
    assert told(program.get(address))[0] == 404


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("/api/runbooks", "GET, HEAD"),
        ("/api/runbooks/a.md", "GET, HEAD"),
        ("/api/runbooks/a.md/required-env", "GET, HEAD"),
        ("/api/runbooks/a.md/validate", "PATCH"),
        ("/api/runs", "GET, HEAD"),
        ("/api/runs/1/cancel", "POST"),
        ("/api/config", "GET, HEAD"),
        ("/api/shutdown", "POST"),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "BREW"])
def test_another_method_is_refused_and_told_which_there_are(program, address, allowed, method):
    answer = program.generic(method, address)
    assert told(answer) == (405, f"This address cannot be asked with {method}; use {allowed}.")
    assert answer.headers["Allow"] == allowed


@pytest.mark.parametrize("address", ["/api/runbooks", "/api/runbooks/a.md", "/api/runs", "/api/config"])
def test_the_head_of_an_answer_is_that_of_the_whole(program, address):
    head, whole = program.head(address), program.get(address)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == whole.headers["Content-Length"] == str(len(whole.content))


def test_a_stranger_is_told_how_to_ask(library):
    answer = Client().get("/api/runbooks")
    assert told(answer) == (401, "Send a token: Authorization: Bearer <token>.")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_browser_may_read_and_needs_a_token_for_anything_else(program):
    browser = client_of("alice", "sre")
    assert browser.get("/api/runbooks").status_code == 200
    assert told(browser.patch("/api/runbooks/a.md/validate", {}, content_type=JSON))[0] == 401


def test_a_wrong_token_is_not_made_good_by_a_session(library):
    answer = client_of("alice", "sre").get("/api/runbooks", headers={"Authorization": "Bearer nonsense"})
    assert told(answer)[0] == 401


def test_an_answer_sets_no_cookie_even_for_a_browser(library):
    answer = client_of("alice", "sre").get("/api/runbooks")
    assert not answer.cookies
    assert not answer.has_header("Vary")
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("address", ["/api/runbooks", "/dev-login"])
def test_a_foreign_host_name_is_refused_in_words(program, address):
    assert told(program.get(address, headers={"Host": "evil.example"}))[0] == 400


@pytest.mark.parametrize(
    ("kind", "body", "status", "says"),
    [
        (JSON, b"{", 400, "not JSON"),
        (JSON, b"\xff{}", 400, "not UTF-8"),
        (JSON, b"[]", 400, "must be an object"),
        (JSON, b'{"env_vars": []}', 400, "env_vars: it must be an object"),
        (JSON, b'{"env_vars": {"HOST": ["a"]}}', 400, "env_vars.HOST: the value must be a string"),
        (JSON, b'{"env_vars": {"HOST": null}}', 400, "env_vars.HOST: the value must be a string"),
        (JSON, b'{"env_vars": {"HOST": 1e999}}', 400, "env_vars.HOST: the value must be"),
        (JSON, b'{"env_vars": {"A": "1", "A": "2"}}', 400, "A: the body has this name twice"),
        (JSON, b'{"env_vars": {"A": NaN}}', 400, "NaN is not JSON"),
        (JSON, b'{"env_vars": {"A": "\\ud800"}}', 400, "half of a surrogate pair"),
        (JSON, b'{"env_vars": {"\\udfff": "a"}}', 400, "half of a surrogate pair"),
        (JSON, b'{"env_vars": ' + b"9" * 5000 + b"}", 400, "too many digits"),
        (JSON, b"[" * 100_000, 400, "nested too deeply"),
        (JSON, b'{"a":' * 100_000, 400, "nested too deeply"),
        (JSON, b'{"env_vars": {"' + b"N" * 1000 + b'": []}}', 400, "N" * 100 + "…: "),
        (JSON, b" " * (MOST_BYTES + 1), 413, "more than 1048576 bytes"),
        (JSON, b" " * (4 * MOST_BYTES), 413, "more than 1048576 bytes"),
        ("text/plain", b"{}", 415, "application/json"),
        ("text/plain; application/json", b"{}", 415, "application/json"),
        ("application/x-www-form-urlencoded", b"{}", 415, "application/json"),
    ],
)
def test_a_bad_body_is_refused_in_words(program, kind, body, status, says):
    answer = program.generic("PATCH", "/api/runbooks/a.md/validate", body, content_type=kind)
    assert told(answer)[0] == status
    assert says in told(answer)[1]
    assert len(told(answer)[1]) < 500


@pytest.mark.parametrize(
    "values",
    [
        {f"RUNBOOK_{number}": "" for number in range(45_000)},
        {f"V{number}": "" for number in range(70_000)},
        {f"V{number}": [] for number in range(70_000)},
        {"N" * 1_000_000: ""},
        {"N" * 1_000_000: []},
        {"HOST": "h" * 1_000_000},
    ],
    ids=["refused", "unknown", "of a wrong type", "one name", "one name of a wrong type", "one value"],
)
def test_a_large_body_full_of_mistakes_gets_a_small_answer(program, values):
    body = json.dumps({"env_vars": values})
    answer = program.patch("/api/runbooks/a.md/validate", body, content_type=JSON)
    assert MOST_BYTES * 0.8 < len(body) <= MOST_BYTES
    assert told(answer)[0] == 400
    assert len(answer.content) < 15_000
    assert 0 < len(answer.json()["errors"]) <= MOST_ERRORS


@pytest.mark.parametrize(
    ("body", "values", "is_confirmed"),
    [
        (b"", {}, False),
        (b"{}", {}, False),
        (b'\xef\xbb\xbf{"confirm": true}', {}, True),
        (
            b'{"env_vars": {"A": 12, "B": 0.5, "C": true, "D": "\\u00e4"}}',
            {"A": "12", "B": "0.5", "C": "true", "D": "ä"},
            False,
        ),
        (b'{"env_vars": {}, "of_a_newer_client": [1]}', {}, False),
    ],
)
def test_a_body_is_read_as_clients_send_it(body, values, is_confirmed):
    kind = "Application/JSON; charset=utf-8" if body else ""
    assert read_body(kind, body, ExecuteBody) == ExecuteBody(env_vars=values, confirm=is_confirmed)


def test_a_confirmation_is_true_or_false():
    with pytest.raises(ApiError, match="confirm: it must be true or false"):
        read_body(JSON, b'{"confirm": "yes"}', ExecuteBody)
