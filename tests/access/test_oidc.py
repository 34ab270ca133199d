"""Single sign-on against a real OpenID Connect provider, through the redirects that a browser would follow."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit, urlunsplit

import httpx
import pytest
from django.test import Client

from runbooks.access import oidc, oidc_provider
from runbooks.access.actor import Actor
from runbooks.access.identify import KEY, actor_of_session
from runbookweb.env import BadVariable, Configuration
from tests.processes import Process, free_port, running, until

pytestmark = pytest.mark.django_db
ALICE = {
    "sub": "00u1",
    "preferred_username": "alice",
    "email": "alice@example.com",
    "email_verified": True,
    "roles": ["sre", "dba"],
    "team": "storage",
    "level": 3,
}


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    port = free_port()
    users = ["--user-claims", json.dumps(ALICE)]
    command = ["-m", "oidc_provider_mock", "--port", str(port), "--require-nonce", "true", *users]
    with running(*command, stdout=tmp_path_factory.mktemp("provider") / "stdout") as process:
        process.port = port
        until(lambda: is_open(port))
        yield process


def is_open(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@pytest.fixture
def configure(settings, tmp_path: Path, provider: Process):
    def configure(**variables: str) -> None:
        issuer = f"http://127.0.0.1:{provider.port}"
        environ = {"OIDC_ISSUER": issuer, "OIDC_CLIENT_ID": "runbookweb", "OIDC_CLIENT_SECRET": "s3cret"}
        settings.CONFIGURATION = Configuration({"DATA_DIR": str(tmp_path / "data"), **environ, **variables})
        oidc_provider.read_description.cache_clear()

    configure()
    yield configure
    oidc_provider.read_description.cache_clear()


@pytest.fixture
def client(configure) -> Client:
    return Client()


def begin(client: Client, *, then: str = "/runs/") -> str:
    """The address at the provider that the browser is sent to."""
    return client.get("/oidc/start/", {"next": then}).url


def answer_of(address: str, *, sub: str = "00u1", **form: str) -> str:
    """Where the provider sends the browser back to when the form at this address is filled in."""
    answer = httpx.post(address, data=form or {"sub": sub})
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"]


def come_back(client: Client, location: str):
    return client.get(urlsplit(location).path + "?" + urlsplit(location).query)


def sign_in(client: Client, **options: str):
    return come_back(client, answer_of(begin(client, **options)))


def changed(address: str, **parameters: str | None) -> str:
    """The address with other parameters, or without those that are None."""
    parts = urlsplit(address)
    query = {**dict(parse_qsl(parts.query)), **parameters}
    return urlunsplit(parts._replace(query=urlencode({name: v for name, v in query.items() if v is not None})))


def set_claims(provider: Process, **claims: object) -> str:
    """A new person at the provider who has these claims."""
    sub = f"00u{time.monotonic_ns()}"
    httpx.put(f"http://127.0.0.1:{provider.port}/users/{sub}", json=claims).raise_for_status()
    return sub


def test_it_signs_in_with_the_claims_of_the_id_token(client):
    answer = sign_in(client)
    assert (answer.status_code, answer.url) == (302, "/runs/")
    claims = {"roles": ("sre", "dba"), "team": ("storage",), "preferred_username": ("alice",)}
    assert actor_of_session(client.session) == Actor("alice", {**claims, "email": ("alice@example.com",)})
    assert client.get("/runs/").status_code == 200


def test_the_page_offers_it_as_a_link_that_knows_where_to_go_then(client):
    page = client.get("/login/", {"next": "/runs/?state=failed"}).content.decode()
    assert 'href="/oidc/start/?next=/runs/%3Fstate%3Dfailed">Sign in with single sign-on</a>' in page


def test_no_account_is_made_of_it(client, django_user_model):
    sign_in(client)
    assert not django_user_model.objects.exists()
    assert client.get("/admin/").status_code == 302


@pytest.mark.parametrize("place", ["https://evil.example/", "//evil.example/", "/\\evil.example", ""])
def test_it_never_goes_to_somebody_elses_place(client, place):
    assert sign_in(client, then=place).url == "/runbooks/"


def test_state_nonce_and_pkce_go_along(client):
    asked = parse_qs(urlsplit(begin(client)).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["redirect_uri"] == ["http://testserver/oidc/callback/"]
    assert asked["scope"] == ["openid profile email"]
    assert min(len(asked[name][0]) for name in ("state", "nonce", "code_challenge")) >= 32


def test_the_session_gets_another_key_and_keeps_nothing(client):
    address = begin(client)
    known = client.session.session_key
    come_back(client, answer_of(address))
    assert client.session.session_key != known
    assert set(client.session.keys()) == {KEY}


def test_a_sign_in_that_is_never_finished_is_kept_for_minutes(client):
    begin(client)
    assert 0 < client.session.get_expiry_age() <= 600
    sign_in(client)
    assert client.session.get_expiry_age() == 14 * 24 * 60 * 60


def test_a_sign_in_that_is_never_finished_does_not_shorten_the_session(client):
    sign_in(client)
    begin(client)
    assert client.session.get_expiry_age() == 14 * 24 * 60 * 60


def test_the_second_tab_to_come_back_goes_on_as_who_signed_in_with_the_first(client, provider):
    first, second = begin(client), begin(client)
    sign_in_with_first = come_back(client, answer_of(first))
    location = answer_of(second, sub=set_claims(provider, preferred_username="mallory"))
    assert (sign_in_with_first.url, come_back(client, location).url) == ("/runs/", "/runbooks/")
    assert actor_of_session(client.session).id == "alice"


def test_nobody_can_be_signed_in_as_somebody_else_by_an_answer_from_another_browser(client, provider):
    sign_in(client)
    location = answer_of(begin(Client()), sub=set_claims(provider, preferred_username="mallory"))
    assert come_back(client, location + "&next=https://evil.example/").url == "/runbooks/"
    assert actor_of_session(client.session).id == "alice"


def test_it_takes_the_place_of_an_account(client, admin_user):
    client.force_login(admin_user)
    sign_in(client)
    assert actor_of_session(client.session).id == "alice"
    assert client.get("/admin/").status_code == 302


def test_it_ends_after_eight_hours(client):
    sign_in(client)
    session = client.session
    assert 0 < session[KEY]["until"] - time.time() <= 8 * 60 * 60
    session[KEY]["until"] = time.time() - 1
    session.save()
    assert client.get("/runs/").status_code == 302


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"email": "bob@example.com", "email_verified": True}, "bob@example.com"),
        ({"preferred_username": "bob\u202e", "email": "bob@example.com", "email_verified": True}, "bob@example.com"),
        ({"preferred_username": " ", "email": "bob@example.com"}, None),
        ({"preferred_username": "b" * 256, "email": "bob@example.com", "email_verified": False}, None),
    ],
)
def test_people_are_named_by_what_can_be_read_and_is_theirs(client, provider, claims, name):
    sub = set_claims(provider, **claims)
    come_back(client, answer_of(begin(client), sub=sub))
    actor = actor_of_session(client.session)
    assert actor.id == (name or sub)
    assert ("email" in actor.claims) == (claims.get("email_verified") is True)


def test_the_name_may_come_from_another_claim(client, configure):
    configure(OIDC_NAME_CLAIM="sub")
    sign_in(client)
    assert actor_of_session(client.session).id == "00u1"


def test_without_the_name_that_is_asked_for_nobody_is_signed_in(client, configure):
    configure(OIDC_NAME_CLAIM="nickname")
    answer = sign_in(client)
    assert answer.status_code == 403
    assert "no name that can be shown" in answer.content.decode()


@pytest.mark.parametrize(
    ("claim", "claims"),
    [
        ("groups", {"groups": ["sre"], "roles": ["admin"]}),
        ("realm_access.roles", {"realm_access": {"roles": ["sre"]}, "roles": ["admin"]}),
        ("https://example.com/roles", {"https://example.com/roles": "sre"}),
    ],
)
def test_roles_come_from_the_claim_that_is_configured_alone(client, provider, configure, claim, claims):
    configure(OIDC_ROLES_CLAIM=claim)
    come_back(client, answer_of(begin(client), sub=set_claims(provider, **claims)))
    assert actor_of_session(client.session).claims["roles"] == ("sre",)


@pytest.mark.parametrize("roles", [None, 7, {"sre": True}, ["sre", 7], ["sre\n"]])
def test_roles_that_cannot_be_read_are_none(client, provider, roles):
    come_back(client, answer_of(begin(client), sub=set_claims(provider, roles=roles)))
    assert "roles" not in actor_of_session(client.session).claims


def test_people_come_back_to_the_address_that_is_configured(client, configure):
    configure(OIDC_REDIRECT_URI="https://runbooks.example.com/oidc/callback/")
    location = answer_of(begin(client))
    assert location.startswith("https://runbooks.example.com/oidc/callback/?")
    assert come_back(client, location).url == "/runs/"


def refused(client: Client, answer, status: int, says: str) -> None:
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
    page = answer.content.decode()
    assert says in page
    assert "Sign in with single sign-on" in page
    assert actor_of_session(client.session) is None


def test_a_denied_sign_in_is_said(client):
    location = answer_of(begin(client), action="deny")
    # This provider leaves out the state, which others give back.
    state = parse_qs(urlsplit(client.get("/oidc/start/").url).query)["state"][0]
    refused(client, come_back(client, changed(location, state=state)), 403, "The provider denied the sign-in.")


def test_where_to_go_then_is_kept_when_it_fails(client):
    location = changed(answer_of(begin(client, then="/runs/7/")), code="guessed")
    assert 'href="/oidc/start/?next=/runs/7/"' in come_back(client, location).content.decode()


def test_an_answer_counts_once(client):
    location = answer_of(begin(client))
    come_back(client, location)
    client.post("/logout/")
    refused(client, come_back(client, location), 400, "is over already")


def test_a_failed_answer_counts_once_too(client):
    location = answer_of(begin(client))
    refused(client, come_back(client, changed(location, code="guessed")), 503, "does not answer as it should")
    refused(client, come_back(client, location), 400, "is over already")


def test_an_answer_does_not_count_in_another_browser(client):
    location = answer_of(begin(client))
    victim = Client()
    refused(victim, come_back(victim, location), 400, "begun in another browser")


@pytest.mark.parametrize("state", ["made-up", "", None])
def test_another_state_is_refused(client, state):
    refused(client, come_back(client, changed(answer_of(begin(client)), state=state)), 400, "begun in another browser")


def test_an_old_answer_is_refused(client):
    location = answer_of(begin(client))
    session = client.session
    for begun in session[oidc.STATES].values():
        begun["added_on"] -= 601
    session.save()
    refused(client, come_back(client, location), 400, "too long ago")


def test_a_token_with_another_nonce_is_refused(client):
    location = answer_of(changed(begin(client), nonce="a-nonce-of-somebody-else"))
    refused(client, come_back(client, location), 403, "not accepted here")


def test_a_code_of_another_browser_is_refused(client):
    attacker = Client()
    code = parse_qs(urlsplit(answer_of(begin(attacker))).query)["code"][0]
    location = changed(answer_of(begin(client)), code=code)
    refused(client, come_back(client, location), 403, "not accepted here")


def test_a_code_of_another_client_is_refused(client):
    location = answer_of(changed(begin(client), client_id="another"))
    refused(client, come_back(client, location), 503, "does not answer as it should")


def test_a_provider_that_is_down_is_said(client, configure):
    configure(OIDC_ISSUER=f"http://127.0.0.1:{free_port()}")
    refused(client, client.get("/oidc/start/"), 503, "does not answer as it should")


def test_a_provider_that_went_down_meanwhile_is_said(client, configure):
    location = answer_of(begin(client))
    configure(OIDC_ISSUER=f"http://127.0.0.1:{free_port()}")
    refused(client, come_back(client, location), 503, "does not answer as it should")


@pytest.mark.parametrize("page", ["/oidc/start/", "/oidc/callback/"])
def test_both_pages_are_for_reading(client, page):
    assert client.post(page).status_code == 405


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({}, "/oidc/start/?next=/runs/"),
        ({"IDP_LOGIN_URI": "https://login.example.com/start?app=7"}, "https://login.example.com/start?app=7"),
        ({"IDP_LOGIN_URI": "/login/"}, "/login/?next=/runs/"),
        ({"IDP_LOGIN_URI": "/login/?x=y"}, "/login/?x=y&next=/runs/"),
    ],
)
def test_auth_login_leads_to_what_is_configured(client, configure, variables, place):
    configure(**variables)
    assert client.get("/auth/login", {"next": "/runs/"}).url == place


def test_auth_login_leads_to_our_page_when_nothing_is_configured(client, settings, tmp_path):
    settings.CONFIGURATION = Configuration({"DATA_DIR": str(tmp_path / "data")})
    assert client.get("/auth/login", {"next": "https://evil.example/"}).url == "/login/?next=/runbooks/"


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"OIDC_CLIENT_ID": ""}, "OIDC_CLIENT_ID: set it to"),
        ({"OIDC_ISSUER": ""}, "OIDC_ISSUER: set it to"),
        ({"OIDC_ISSUER": "http://login.example.com"}, "OIDC_ISSUER: 'http://login.example.com' is not an https"),
        ({"OIDC_SCOPES": "email"}, "OIDC_SCOPES: it must have the scope openid"),
        ({"OIDC_SIGN_ALGORITHM": "HS256"}, "OIDC_SIGN_ALGORITHM: 'HS256' is neither RS256 nor ES256"),
        ({"OIDC_REDIRECT_URI": "https://runbooks.example.com/"}, "OIDC_REDIRECT_URI: "),
        ({"IDP_LOGIN_URI": "javascript:alert(1)"}, "IDP_LOGIN_URI: "),
        ({"IDP_LOGIN_URI": "//evil.example/"}, "IDP_LOGIN_URI: "),
        ({"IDP_LOGIN_URI": "/\\evil.example/"}, "IDP_LOGIN_URI: "),
        ({"IDP_LOGIN_URI": "login"}, "IDP_LOGIN_URI: "),
        ({"IDP_LOGIN_URI": "/auth/login?x=y"}, "IDP_LOGIN_URI: "),
        ({"IDP_LOGIN_URI": "https://a b/"}, "IDP_LOGIN_URI: "),
        ({"IDP_LOGIN_URI": "https://login.example.com:port/"}, "IDP_LOGIN_URI: "),
    ],
)
def test_variables_that_cannot_be_used_stop_the_start(configure, variables, says):
    with pytest.raises(BadVariable) as refusal:
        configure(**variables)
    assert str(refusal.value).startswith(says)


def test_the_configuration_page_hides_the_secret(client):
    sign_in(client)
    page = client.get("/configuration/").content.decode()
    assert "OIDC_CLIENT_SECRET" in page
    assert "s3cret" not in page
