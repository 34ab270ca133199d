"""The development sign-in, and what a session says of who asks."""

import pytest
from django.test import Client

from runbooks.access.actor import Actor
from runbooks.access.identify import actor_of_session

pytestmark = pytest.mark.django_db


def sign_in(client: Client, **fields: str):
    return client.post("/login/", {"subject": "alice", "roles": "sre, admin", **fields})


def test_it_signs_in_with_roles(client):
    assert sign_in(client).url == "/runbooks/"
    assert actor_of_session(client.session) == Actor("alice", {"roles": ("sre", "admin")})
    assert client.get("/runbooks/").status_code == 200


def test_the_page_has_its_fields_by_name(client):
    page = client.get("/login/").content.decode()
    assert '<label class="field__label" for="id_subject">Subject</label>' in page
    assert '<label class="field__label" for="id_roles">Roles</label>' in page


def test_the_session_gets_another_key_at_sign_in(client):
    sign_in(client)
    known = client.session.session_key
    sign_in(client, subject="mallory")
    assert client.session.session_key != known


def test_nobody_is_signed_in_without_a_session(client):
    assert actor_of_session(client.session) is None


@pytest.mark.parametrize("page", ["/runbooks/", "/runs/", "/runs/1/", "/configuration/", "/runbooks/a.md/"])
def test_a_page_asks_for_the_sign_in_and_is_gone_back_to(client, page):
    answer = client.get(page + "?q=x")
    assert answer.status_code == 302
    assert answer.url == f"/login/?next={page}%3Fq%3Dx"
    assert sign_in(client, next=page).url == page


@pytest.mark.parametrize("form", ["/runbooks/a.md/runs/", "/runs/1/cancellation/"])
def test_a_form_cannot_be_gone_back_to(client, form):
    assert client.post(form).url == "/login/"


@pytest.mark.parametrize("method", ["get", "post"])
def test_htmx_is_told_to_leave_the_page_and_comes_back_to_it(client, method):
    here = {"HX-Request": "true", "HX-Current-URL": "http://testserver/runs/7/?line=5#L5"}
    answer = getattr(client, method)("/runs/7/pin/" if method == "post" else "/runbooks/", headers=here)
    assert answer.headers["HX-Redirect"] == "/login/?next=/runs/7/%3Fline%3D5%23L5"
    assert sign_in(client, next="/runs/7/?line=5#L5").url == "/runs/7/?line=5#L5"


@pytest.mark.parametrize("place", ["", "https://evil.example/runs/7/", "not an address", "http://["])
def test_htmx_from_somewhere_else_comes_back_to_the_list(client, place):
    headers = {"HX-Request": "true"} | ({"HX-Current-URL": place} if place else {})
    assert client.get("/runbooks/", headers=headers).headers["HX-Redirect"] == "/login/"


@pytest.mark.parametrize(
    ("referer", "place"),
    [
        ("http://testserver/runbooks/a.md/?run=7", "/login/?next=/runbooks/a.md/%3Frun%3D7"),
        ("https://evil.example/runbooks/a.md/", "/login/"),
        ("http://[", "/login/"),
        ("", "/login/"),
    ],
)
def test_a_form_leads_back_to_the_page_that_it_is_on(client, referer, place):
    assert client.post("/runbooks/a.md/runs/", headers={"Referer": referer}).url == place


@pytest.mark.parametrize(
    "place", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
def test_it_never_goes_to_somebody_elses_place(client, place):
    assert sign_in(client, next=place).url == "/runbooks/"


def test_the_sign_out_ends_the_session(client):
    sign_in(client)
    assert client.post("/logout/").url == "/login/"
    assert client.get("/runbooks/").status_code == 302


def test_the_sign_out_is_a_form(client):
    sign_in(client)
    assert client.get("/logout/").status_code == 405
    assert client.get("/runbooks/").status_code == 200


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"subject": ""}, "This field is required."),
        ({"subject": "a" * 256}, "at most 255 characters"),
        ({"subject": "a\tb"}, "control character"),
        ({"subject": "a\0b"}, "control character"),
        ({"roles": "sre\u202e"}, "control character"),
        ({"roles": "r" * 101}, "at most 100 characters"),
        ({"roles": ",".join(f"r{number}" for number in range(51))}, "at most 50 roles"),
    ],
)
def test_it_refuses_what_it_cannot_use(client, fields, message):
    answer = sign_in(client, **fields)
    assert answer.status_code == 422
    assert message in answer.content.decode()
    assert actor_of_session(client.session) is None


@pytest.mark.parametrize(
    ("enabled", "asker"),
    [
        (False, {}),
        (True, {"REMOTE_ADDR": "192.0.2.7"}),
        (True, {"REMOTE_ADDR": ""}),
        (True, {"HTTP_X_FORWARDED_FOR": "192.0.2.7"}),
    ],
)
def test_it_is_for_this_machine_alone(client, settings, enabled, asker):
    settings.ENABLE_LOGIN = enabled
    page = client.get("/login/", **asker)
    assert page.status_code == 200
    assert "No sign-in is configured" in page.content.decode()
    assert "Subject" not in page.content.decode()
    assert client.post("/login/", {"subject": "alice"}, **asker).status_code == 404


def test_a_form_without_its_token_is_refused_in_words():
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/login/", {"subject": "alice"})
    assert answer.status_code == 403
    assert "This form has expired" in answer.content.decode()


@pytest.mark.parametrize("protocol", ["http", "https"])
def test_who_comes_by_tls_has_cookies_that_go_by_tls_alone(client, protocol):
    answer = client.post("/login/", {"subject": "alice", "roles": ""}, headers={"X-Forwarded-Proto": protocol})
    assert answer.status_code == 302
    assert {bool(cookie["secure"]) for cookie in answer.cookies.values()} == {protocol == "https"}
