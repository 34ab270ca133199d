"""Who may do what: every address that there is, asked by everybody; one without a row here fails the test."""

from dataclasses import dataclass

import pytest
from asgiref.sync import async_to_sync
from channels.testing import ApplicationCommunicator
from django.test import Client
from django.urls import URLResolver, get_resolver

from runbooks.execution.launch import prepare_folder
from runbooks.models import Run, State
from runbooks.web import consumers
from runbookweb.asgi import application
from tests.conftest import client_of

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass(frozen=True)
class Row:
    """The answers to a stranger, to somebody without the runbook's claims, to who has them, and to an administrator."""

    address: str
    stranger: int
    without: int
    having: int
    admin: int
    method: str = "GET"


# The runbook guarded.md needs the role dba; the run is one of it, started by somebody else who had it.
TABLE = {
    "home": Row("/", 302, 302, 302, 302),
    "runbooks": Row("/runbooks/", 302, 200, 200, 200),
    "runbook": Row("/runbooks/guarded.md/", 302, 200, 200, 200),
    "start": Row("/runbooks/guarded.md/runs/", 302, 403, 302, 403, method="POST"),
    "runs": Row("/runs/", 302, 200, 200, 200),
    "run": Row("/runs/{run}/", 302, 404, 200, 404),
    "cancellation": Row("/runs/{run}/cancellation/", 302, 404, 302, 404, method="POST"),
    "configuration": Row("/configuration/", 302, 200, 200, 200),
    "login": Row("/login/", 200, 200, 200, 200),
    "logout": Row("/logout/", 302, 302, 302, 302, method="POST"),
    "dev-login": Row("/dev-login", 415, 415, 415, 415, method="POST"),
    "healthz": Row("/healthz", 200, 200, 200, 200),
    "readyz": Row("/readyz", 200, 200, 200, 200),
    "metrics": Row("/metrics", 200, 200, 200, 200),
    "admin": Row("/admin/runbooks/run/", 302, 302, 302, 200),
    "events": Row("/runs/{run}/events/", 401, 404, 200, 404),
    "log": Row("/runs/{run}/log.txt", 401, 404, 200, 404),
}


def names() -> set[str]:
    patterns = [*get_resolver().url_patterns, *consumers.urlpatterns]
    return {pattern.namespace if isinstance(pattern, URLResolver) else pattern.name for pattern in patterns}


def test_every_address_has_a_row():
    assert names() == set(TABLE)


@pytest.fixture
def run(library, a_runbook) -> Run:
    library.add("guarded.md", a_runbook(name="guarded", claims={"roles": ["dba"]}, script="echo of the dba"))
    run = Run.objects.create(
        runbook="guarded.md", actor="carol", timeout=600, state=State.SUCCEEDED, source="# guarded"
    )
    prepare_folder(run.folder)
    return run


@pytest.fixture
def people(db, django_user_model) -> dict[str, Client]:
    admin = client_of("admin", "admin")
    account = django_user_model.objects.create_superuser("root", password="x" * 20)
    admin.force_login(account)
    session = admin.session
    session["actor"] = {"id": "admin", "claims": {"roles": ["admin"]}}
    session.save()
    return {
        "stranger": Client(),
        "without": client_of("bob", "sre"),
        "having": client_of("dora", "dba"),
        "admin": admin,
    }


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("who", ["stranger", "without", "having", "admin"])
def test_everybody_gets_the_answer_that_is_theirs(run, people, name, who):
    row = TABLE[name]
    address = row.address.format(run=run.pk)
    if name in {pattern.name for pattern in consumers.urlpatterns}:
        status = async_to_sync(streamed)(address, people[who])
    else:
        status = people[who].generic(row.method, address).status_code
    assert status == getattr(row, who)


async def streamed(address: str, client: Client) -> int:
    """The status of a stream, which has no Django view that a test client could ask."""
    cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())
    headers = [(b"host", b"localhost"), (b"cookie", cookies.encode())]
    scope = {"type": "http", "method": "GET", "path": address, "raw_path": address.encode(), "query_string": b""}
    request = ApplicationCommunicator(application, {**scope, "headers": headers, "root_path": ""})
    await request.send_input({"type": "http.request", "body": b"", "more_body": False})
    status = (await request.receive_output(5))["status"]
    await request.send_input({"type": "http.disconnect"})
    await request.wait(5)
    return status
