"""The development sign-in for programs: a token for whoever one says to be, on this machine alone."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from runbooks.access.actor import Actor
from runbooks.access.tokens import read

pytestmark = pytest.mark.django_db
ALICE = {"subject": "alice", "roles": ["sre", "admin"]}


def ask(client: Client, body: object = ALICE, *, kind: str = "application/json", **extra: str):
    return client.post("/dev-login", body, content_type=kind, **extra)


def test_it_answers_a_token_that_is_accepted(client):
    answer = ask(client)
    assert answer.status_code == 200
    token = answer.json().pop("access_token")
    assert read(token).actor == Actor("alice", {"roles": ("sre", "admin")})


def test_it_says_whose_token_it_is_and_when_it_ends(client):
    said = ask(client).json()
    ends = datetime.fromisoformat(said["expires_at"])
    assert {name: said[name] for name in ("token_type", "subject", "roles")} == {"token_type": "bearer", **ALICE}
    assert ends.tzinfo == UTC
    assert abs(ends - datetime.now(UTC) - timedelta(minutes=480)) < timedelta(minutes=1)


def test_no_cache_keeps_the_token(client):
    assert "no-store" in ask(client).headers["Cache-Control"]


def test_it_needs_no_form_token_and_sets_no_cookie():
    answer = ask(Client(enforce_csrf_checks=True))
    assert answer.status_code == 200
    assert not answer.cookies


@pytest.mark.parametrize(
    ("roles", "read"),
    [([], []), (None, []), ("sre, admin", ["sre", "admin"]), (["sre", " sre "], ["sre"])],
)
def test_roles_are_a_list_or_words_or_none(client, roles, read):
    assert ask(client, {"subject": "alice", "roles": roles}).json()["roles"] == read


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("{", "not JSON"),
        (b"\xff", "not UTF-8"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", "must be an object"),
        ({"roles": ["sre"]}, "subject: "),
        ("", "subject: it is missing"),
        ({"subject": "", "roles": []}, "subject: "),
        ({"subject": "  "}, "subject: "),
        ({"subject": 7}, "subject: "),
        ({"subject": "a" * 256}, "at most 255 characters"),
        ({"subject": "a\nb"}, "control character"),
        ('{"subject": "\\ud800"}', "surrogate"),
        ({"subject": "alice", "roles": {"sre": True}}, "roles: "),
        ({"subject": "alice", "roles": ["sre", 7]}, "roles: it must be a list of strings"),
        ({"subject": "alice", "roles": ["sre,admin"]}, "roles: "),
        ({"subject": "alice", "roles": 0}, "roles: "),
        ({"subject": "alice", "roles": ["s\nre"]}, "control character"),
        ({"subject": "alice", "roles": ["r" * 101]}, "at most 100 characters"),
        ({"subject": "alice", "roles": [f"r{number}" for number in range(51)]}, "at most 50 roles"),
    ],
)
def test_a_bad_body_is_refused_in_words(client, body, says):
    answer = ask(client, body)
    assert answer.status_code == 400
    assert answer.json()["success"] is False
    assert says in answer.json()["error"]


@pytest.mark.parametrize("kind", ["text/plain", "text/plain; application/json", "application/x-www-form-urlencoded"])
def test_what_a_page_of_another_site_could_send_is_refused(client, kind):
    answer = ask(client, '{"subject": "alice"}', kind=kind)
    assert (answer.status_code, answer.json()["success"]) == (415, False)


@pytest.mark.parametrize("size", [1024 * 1024 + 1, 4 * 1024 * 1024])
def test_a_large_body_is_refused(client, size):
    answer = ask(client, " " * size)
    assert (answer.status_code, answer.json()["success"]) == (413, False)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_another_method_is_refused(client, method):
    answer = client.generic(method, "/dev-login")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("enabled", "asker"),
    [
        (False, {}),
        (True, {"REMOTE_ADDR": "192.0.2.7"}),
        (True, {"REMOTE_ADDR": ""}),
        (True, {"HTTP_X_FORWARDED_FOR": "127.0.0.1"}),
    ],
)
def test_it_is_for_this_machine_alone(client, settings, method, enabled, asker):
    settings.ENABLE_LOGIN = enabled
    answer = client.generic(method, "/dev-login", "{}", content_type="application/json", **asker)
    assert (answer.status_code, answer.json()["success"]) == (404, False)
