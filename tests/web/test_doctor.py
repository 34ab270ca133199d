"""The doctor's page and the streams that it has measured, without a proxy and without a browser."""

import time

import pytest
from asgiref.sync import async_to_sync
from channels.testing import ApplicationCommunicator

from runbooks.access.actor import Actor
from runbooks.access.tokens import issue
from runbooks.threads import in_thread
from runbooks.web import doctor
from runbookweb.asgi import application
from tests.conftest import client_of

pytestmark = pytest.mark.django_db(transaction=True)


def request(query: str = "", *, subject: str = "alice", **headers: str) -> ApplicationCommunicator:
    session = client_of(subject).cookies["runbookweb_session"].value if not headers else ""
    sent = {"host": "localhost", "cookie": f"runbookweb_session={session}", **headers}
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/doctor/stream/",
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
    }
    return ApplicationCommunicator(application, scope)


async def begun(asked: ApplicationCommunicator) -> int:
    await asked.send_input({"type": "http.request", "body": b"", "more_body": False})
    return (await asked.receive_output(5))["status"]


async def left(asked: ApplicationCommunicator) -> None:
    await asked.send_input({"type": "http.disconnect"})
    await asked.wait(5)


async def body(asked: ApplicationCommunicator) -> bytes:
    pieces = []
    while (message := await asked.receive_output(5)).get("more_body"):
        pieces.append(message["body"])
    return b"".join(pieces)


@pytest.fixture
def quick(monkeypatch) -> None:
    monkeypatch.setattr(doctor, "PAUSE", 0.02)


@async_to_sync
async def answer(asked: ApplicationCommunicator) -> tuple[int, str]:
    return await begun(asked), (await body(asked)).decode()


def test_lines_say_when_they_were_sent(quick):
    status, text = answer(request("of=lines"))
    sent = [float(part.split(",")[0]) for part in text.split('"sent": ')[1:]]
    assert status == 200
    assert len(sent) == doctor.LINES
    assert all(20 * number <= moment for number, moment in enumerate(sent))
    assert text.endswith(f'event: done\ndata: {{"lines": {doctor.LINES}}}\n\n')


def test_a_silence_lasts_as_long_as_was_asked_for():
    began = time.monotonic()
    _, text = answer(request("of=silence&silence=1"))
    assert time.monotonic() - began >= 1
    assert text.count("event: line") == 2


@pytest.mark.parametrize(
    ("seconds", "moments"), [(60, [*range(0, 61, 5)]), (10, [0, 5, 10]), (12, [0, 5, 10, 12]), (3, [0, 3])]
)
def test_pings_come_as_on_a_page_and_at_the_end(seconds, moments):
    assert doctor._moments("pings", seconds) == moments


@pytest.mark.parametrize("query", ["of=everything", "silence=0", "silence=61", "silence=x", "silence=", "silence=٣"])
def test_what_cannot_be_measured_is_refused_in_words(query):
    status, text = answer(request(query))
    assert status == 400
    assert text.partition(": it must be ")[0] in query


@pytest.mark.parametrize("silence", ["0", "61", "x", "-5", "999999999999"])
def test_the_page_refuses_such_a_silence_too(alice_client, silence):
    assert alice_client.get(f"/doctor/?silence={silence}").status_code == 400


def test_a_token_may_ask_and_a_wrong_one_may_not(quick):
    token = issue(Actor("alice"))[0]
    assert answer(request(authorization=f"Bearer {token}"))[0] == 200
    assert answer(request(authorization="Bearer x"))[0] == 401


async def test_nobody_has_more_than_a_few_open_and_who_leaves_makes_place():
    mine = [await in_thread(request, "of=silence") for _ in range(doctor.MOST)]
    assert [await begun(asked) for asked in mine] == [200] * doctor.MOST
    assert await begun(await in_thread(request, "of=silence")) == 429
    other = await in_thread(request, "of=silence", subject="bob")
    assert await begun(other) == 200
    await left(mine.pop())
    mine += [other, await in_thread(request, "of=silence")]
    assert await begun(mine[-1]) == 200
    for asked in mine:
        await left(asked)
    assert not doctor.Measured.open_by


def test_the_page_names_each_check_and_the_way_without_javascript(alice_client):
    page = alice_client.get("/doctor/").content.decode()
    assert page.count('data-check="') == 10
    assert 'curl -iN -H "Authorization: Bearer $TOKEN" "http://testserver/doctor/stream/?of=lines"' in page
