"""Who may do what: every address that there is, asked by everybody; one without a row here fails the test."""

import re
from dataclasses import dataclass

import pytest
from asgiref.sync import async_to_sync
from channels.testing import ApplicationCommunicator
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, resolve

from runbooks.access.actor import Actor
from runbooks.access.tokens import issue
from runbooks.execution import folder
from runbooks.models import Run, State
from runbookweb.asgi import application
from tests.conftest import client_of

pytestmark = pytest.mark.django_db(transaction=True)

# Everybody asks of the runbook guarded.md, which needs the role dba, and of a run of it that dora has started.
PEOPLE = {
    "anonymous": None,
    "without claims": Actor("bob", {"roles": ("sre",)}),
    "with claims": Actor("dora", {"roles": ("dba",)}),
    "another person's run": Actor("erin", {"roles": ("dba",)}),
    "admin": Actor("root", {"roles": ("admin",)}),
}
IGNORED = ""  # a token says nothing here: whoever sends one is anonymous
DENIED = "401 401 401 401 401"
BODY = b'{"subject": "zoe"}'  # what /dev-login needs, and all others pass over


@dataclass(frozen=True)
class Row:
    """The answer to each of PEOPLE, who come with a browser's session, and again with a token."""

    address: str
    by_session: str
    by_token: str
    method: str = "GET"

    def answers(self, *, way: str) -> list[int]:
        by_session = [int(status) for status in self.by_session.split()]
        by_token = [int(status) for status in self.by_token.split()] or by_session[:1] * len(PEOPLE)
        return by_session if way == "by_session" else by_token


TABLE = {
    "home": Row("/", "302 302 302 302 302", IGNORED),
    "runbooks": Row("/runbooks/", "302 200 200 200 200", IGNORED),
    "runbook": Row("/runbooks/guarded.md/", "302 200 200 200 200", IGNORED),
    "start": Row("/runbooks/guarded.md/runs/", "302 403 302 302 403", IGNORED, "POST"),
    "favourite": Row("/runbooks/guarded.md/favourite/", "302 302 302 302 302", IGNORED, "POST"),
    "check": Row("/runbooks/guarded.md/check/", "401 403 200 200 403", IGNORED, "POST"),
    "runs": Row("/runs/", "302 200 200 200 200", IGNORED),
    "active-runs": Row("/runs/active/", "302 200 200 200 200", IGNORED),
    "compare": Row("/runs/compare/?a={run}&b={run}", "302 404 200 200 404", IGNORED),
    "run": Row("/runs/{run}/", "302 404 200 200 404", IGNORED),
    "events": Row("/runs/{run}/events/", "401 404 200 200 404", IGNORED),
    "log": Row("/runs/{run}/log.txt", "401 404 200 200 404", IGNORED),
    "log-json": Row("/runs/{run}/log.json", "401 404 200 200 404", IGNORED),
    "lines": Row("/runs/{run}/lines/?end=1", "401 404 200 200 404", IGNORED),
    "search": Row("/runs/{run}/search/?q=dba", "401 404 200 200 404", IGNORED),
    "cancellation": Row("/runs/{run}/cancellation/", "302 404 302 302 404", IGNORED, "POST"),
    "pin": Row("/runs/{run}/pin/", "302 404 302 302 404", IGNORED, "POST"),
    "state": Row("/runs/{run}/state/", "302 404 200 200 404", IGNORED),
    "note": Row("/runs/{run}/note/", "302 404 302 302 404", IGNORED, "POST"),
    "difference": Row("/runs/{run}/difference/", "302 404 200 200 404", IGNORED),
    "output": Row("/runs/{run}/outputs/report.txt", "401 404 200 200 404", IGNORED),
    "usage": Row("/usage/", "302 200 200 200 200", IGNORED),
    "configuration": Row("/configuration/", "302 200 200 200 200", IGNORED),
    "doctor": Row("/doctor/", "302 200 200 200 200", IGNORED),
    "doctor-stream": Row("/doctor/stream/", "401 200 200 200 200", "401 200 200 200 200"),
    "login": Row("/login/", "200 200 200 200 200", IGNORED),
    "auth-login": Row("/auth/login", "302 302 302 302 302", IGNORED),
    "single-sign-on": Row("/oidc/start/", "404 404 404 404 404", IGNORED),
    "single-sign-on-callback": Row("/oidc/callback/", "404 404 404 404 404", IGNORED),
    "logout": Row("/logout/", "302 302 302 302 302", IGNORED, "POST"),
    "admin": Row("/admin/runbooks/run/", "302 302 302 302 200", IGNORED),
    "dev-login": Row("/dev-login", "200 200 200 200 200", IGNORED, "POST"),
    "healthz": Row("/healthz", "200 200 200 200 200", IGNORED),
    "readyz": Row("/readyz", "200 200 200 200 200", IGNORED),
    "metrics": Row("/metrics", "200 200 200 200 200", IGNORED),
    "openapi": Row("/docs/openapi.yaml", "200 200 200 200 200", IGNORED),
    "explorer": Row("/docs/explorer.html", "200 200 200 200 200", IGNORED),
    "api:runbooks": Row("/api/runbooks", "401 200 200 200 200", "401 200 200 200 200"),
    "api:runbook": Row("/api/runbooks/guarded.md", "401 200 200 200 200", "401 200 200 200 200"),
    "api:required-env": Row("/api/runbooks/guarded/required-env", "401 200 200 200 200", "401 200 200 200 200"),
    "api:validate": Row("/api/runbooks/guarded.md/validate", DENIED, "401 200 200 200 200", "PATCH"),
    "api-execute": Row("/api/runbooks/guarded.md/execute", DENIED, "401 403 202 202 403", "POST"),
    "api:runs": Row("/api/runs", "401 200 200 200 200", "401 200 200 200 200"),
    "api-run": Row("/api/runs/{run}", "401 404 200 200 404", "401 404 200 200 404"),
    "api-events": Row("/api/runs/{run}/events", "401 404 200 200 404", "401 404 200 200 404"),
    "api-log": Row("/api/runs/{run}/log", "401 404 200 200 404", "401 404 200 200 404"),
    "api:socket": Row("/api/runs/{run}/socket", "426 426 426 426 426", IGNORED),
    "api-socket": Row("/api/runs/{run}/socket", "4401 4404 1000 1000 4404", "4401 4404 1000 1000 4404", "WEBSOCKET"),
    "api:cancel": Row("/api/runs/{run}/cancel", DENIED, "401 404 200 200 404", "POST"),
    "api:pin": Row("/api/runs/{run}/pin", DENIED, "401 404 200 200 404", "POST"),
    "api:config": Row("/api/config", "401 200 200 200 200", "401 200 200 200 200"),
    "api:shutdown": Row("/api/shutdown", DENIED, "401 403 403 403 200", "POST"),
}
OF_A_RUN = [name for name, row in TABLE.items() if "{run}" in row.address]
OF_THE_API = [name for name, row in TABLE.items() if row.by_token]
FORMS = [name for name, row in TABLE.items() if row.method == "POST" and not row.by_token and name != "dev-login"]
# The last route of each is everything else: Django, or no socket.
STREAMS, SOCKETS = (application.application_mapping[kind].routes[:-1] for kind in ("http", "websocket"))


def names_of(pattern: URLPattern | URLResolver) -> list[str]:
    """The name of an address, or those of our own application's; Django's admin is one address here."""
    if not isinstance(pattern, URLResolver):
        return [pattern.name]
    if pattern.namespace == "api":
        # Ninja's root would be at "/", where the home page stands before it.
        return [f"api:{address.name}" for address in pattern.url_patterns if address.name != "api-root"]
    return [pattern.namespace]


def admin_routes() -> list[str]:
    """The addresses below /admin/ but for the sign-in and the sign-out."""
    routes = []
    for route in admin.site.urls[0]:
        inner = [part.pattern for part in route.url_patterns] if isinstance(route, URLResolver) else [""]
        routes += [f"{route.pattern}{part}" for part in inner]
    # Two are regular expressions: lists of what others show, and whatever is not there.
    return [route for route in routes if route not in ("login/", "logout/") and "(" not in route]


def test_every_address_has_a_row():
    patterns = [*get_resolver().url_patterns, *STREAMS, *SOCKETS]
    assert sorted(name for pattern in patterns for name in names_of(pattern)) == sorted(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_a_row_asks_the_address_that_it_is_named_after(name):
    path, method = TABLE[name].address.format(run=1).partition("?")[0], TABLE[name].method
    routes = SOCKETS if method == "WEBSOCKET" else STREAMS
    streamed_as = [route.name for route in routes if route.pattern.match(path[1:])]
    found = streamed_as or [resolve(path).view_name, resolve(path).namespace]
    assert name in found


@pytest.fixture
def run(library, a_runbook) -> Run:
    library.add("guarded.md", a_runbook(name="guarded", claims={"roles": ["dba"]}, script="echo of the dba"))
    return a_run_of("guarded.md")


def a_run_of(runbook: str) -> Run:
    run = Run.objects.create(runbook=runbook, actor="dora", timeout=600, state=State.SUCCEEDED, source="# guarded")
    folder.prepare(run.folder)
    (run.folder / "outputs").mkdir()
    (run.folder / "outputs/report.txt").write_text("of the dba")
    return run


@pytest.mark.parametrize("way", ["by_session", "by_token"])
@pytest.mark.parametrize("name", TABLE)
def test_everybody_gets_the_answer_that_is_theirs(run, name, way):
    assert asked(TABLE[name], run, way=way) == TABLE[name].answers(way=way)


@pytest.mark.parametrize("way", ["by_session", "by_token"])
@pytest.mark.parametrize("name", OF_A_RUN)
def test_the_run_of_a_file_that_is_gone_is_seen_by_who_started_it_alone(run, name, way):
    anonymous, without, having, _, _ = TABLE[name].answers(way=way)
    assert asked(TABLE[name], a_run_of("gone.md"), way=way) == [anonymous, without, having, without, without]


@pytest.mark.parametrize("name", OF_THE_API)
def test_a_token_that_is_not_accepted_is_not_mended_by_a_session(run, name):
    row = TABLE[name]
    dora = session_of(PEOPLE["with claims"])
    assert status(row.method, row.address.format(run=run.pk), dora, authorization="Bearer x") in (401, 4401)


@pytest.mark.parametrize("name", FORMS)
def test_a_form_of_another_site_is_refused(run, name):
    dora = session_of(PEOPLE["with claims"])
    dora.handler.enforce_csrf_checks = True
    assert status("POST", TABLE[name].address.format(run=run.pk), dora) == 403


def test_each_address_of_the_admin_site_is_for_staff_alone(run):
    for address in [f"/admin/{re.sub('<[^>]*>', str(run.pk), route)}" for route in admin_routes()]:
        for actor in (None, PEOPLE["with claims"]):
            answer = session_of(actor).get(address)
            assert (answer.status_code, answer.url.partition("?")[0]) == (302, "/admin/login/"), address


def asked(row: Row, run: Run, *, way: str) -> list[int]:
    """The status that each of PEOPLE gets."""
    address = row.address.format(run=run.pk)
    if way == "by_token":
        tokens = [f"Bearer {issue(actor)[0]}" if actor else "" for actor in PEOPLE.values()]
        return [status(row.method, address, Client(), authorization=token) for token in tokens]
    return [status(row.method, address, session_of(actor)) for actor in PEOPLE.values()]


def session_of(actor: Actor | None) -> Client:
    """A browser that this person has signed in with; the administrator by an account, for /admin/ knows no others."""
    if actor is None:
        return Client()
    if actor.id != "root":
        return client_of(actor.id, *actor.claims["roles"])
    client = Client()
    client.force_login(User.objects.get_or_create(username="root", is_staff=True, is_superuser=True)[0])
    return client


def status(method: str, address: str, client: Client, *, authorization: str = "") -> int:
    """The status of the answer, or the code that a socket is closed with."""
    if method == "WEBSOCKET":
        return async_to_sync(socketed)(address, client, authorization=authorization)
    if any(route.pattern.match(address[1:]) for route in STREAMS):
        return async_to_sync(streamed)(address, client, method=method, authorization=authorization)
    headers = {"Authorization": authorization} if authorization else {}
    body = BODY if method != "GET" else ""
    return client.generic(method, address, body, content_type="application/json", headers=headers).status_code


async def streamed(address: str, client: Client, *, method: str = "GET", authorization: str = "") -> int:
    """The status of a stream, which has no Django view that a test client could ask."""
    # A run that goes on would be waited for.
    headers = [(b"prefer", b"respond-async"), (b"content-type", b"application/json")]
    request = communicator(address, client, authorization, type="http", method=method, headers=headers)
    await request.send_input({"type": "http.request", "body": BODY, "more_body": False})
    status = (await request.receive_output(5))["status"]
    await request.send_input({"type": "http.disconnect"})
    await request.wait(5)
    return status


async def socketed(address: str, client: Client, *, authorization: str) -> int:
    """The code that a socket is closed with, which a page of this server has opened; 1000 is its good end."""
    headers = [(b"origin", b"http://localhost")]
    socket = communicator(address, client, authorization, type="websocket", headers=headers)
    await socket.send_input({"type": "websocket.connect"})
    while (message := await socket.receive_output(5))["type"] != "websocket.close":
        assert message["type"] in ("websocket.accept", "websocket.send")
    await socket.wait(5)
    return message["code"]


def communicator(
    address: str, client: Client, authorization: str, *, headers: list[tuple[bytes, bytes]], **scope: str
) -> ApplicationCommunicator:
    cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())
    sent = {b"host": b"localhost", b"cookie": cookies.encode(), b"authorization": authorization.encode()}
    scope |= {"path": address, "raw_path": address.encode(), "query_string": b"", "root_path": ""}
    headers = [*headers, *((name, value) for name, value in sent.items() if value)]
    return ApplicationCommunicator(application, {**scope, "headers": headers})
