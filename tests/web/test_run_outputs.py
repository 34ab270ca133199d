"""The files that a run has kept: listed on its page, downloaded as they are, and never anything but them."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest
from channels.testing import ApplicationCommunicator
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client

from runbooks.access.actor import Actor
from runbooks.models import Run, State
from runbooks.web import outputs, state_fragments
from runbookweb.asgi import application
from tests.conftest import client_of

OTHERS = ("link", "linked/log", "out/link", "pipe", "out/pipe")
ALICE = Actor("alice", {"roles": ("sre",)})
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run(library, a_runbook, a_run) -> Run:
    library.add("restart.md", a_runbook(claims={"roles": ["sre"]}))
    return a_run(state=State.SUCCEEDED)


@pytest.fixture
def keep(run) -> Callable[..., Path]:
    def keep(name: str | bytes, data: bytes = b"kept") -> Path:
        file = Path(os.fsdecode(run.folder / "outputs" / os.fsdecode(name)))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        return file

    return keep


@pytest.fixture
def session(transactional_db) -> SessionStore:
    return client_of("alice", "sre").session


def page_of(client: Client, run: Run) -> str:
    return client.get(run.get_absolute_url()).content.decode()


def listed(run: Run) -> list[tuple[str, int]]:
    return [(file.name, file.size) for file in outputs.outputs_context(run)["outputs"]]


async def download(run: Run, name: str, session: SessionStore, *, method: str = "GET") -> tuple[dict, bytes]:
    """The start of the answer, and its body."""
    path = f"/runs/{run.pk}/outputs/{name}"
    headers = [(b"host", b"localhost"), (b"cookie", f"runbookweb_session={session.session_key}".encode())]
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": headers}
    request = ApplicationCommunicator(application, scope)
    await request.send_input({"type": "http.request", "body": b"", "more_body": False})
    start, body = await request.receive_output(5), b""
    while (message := await request.receive_output(5)).get("more_body"):
        body += message["body"]
    await request.wait(5)
    return {**start, "headers": dict(start["headers"])}, body


def test_the_page_lists_what_was_kept_with_a_link_to_each(alice_client, run, keep):
    keep("report.txt", b"x" * 1500)
    keep("out/deep/name with ä & space?.txt", b"12")
    page = page_of(alice_client, run)
    assert f'href="/runs/{run.pk}/outputs/report.txt" download' in page
    assert f'href="/runs/{run.pk}/outputs/out/deep/name%20with%20%C3%A4%20&amp;%20space%3F.txt" download' in page
    assert "1.5\xa0KB" in page
    assert listed(run) == [("out/deep/name with ä & space?.txt", 2), ("report.txt", 1500)]


def test_a_name_cannot_read_differently_from_what_it_is(alice_client, run, keep):
    keep("report\u202etxt.sh")
    page = page_of(alice_client, run)
    assert '<span class="outputs__name">report\ufffdtxt.sh</span>' in page
    assert "\u202e" not in page


def test_a_run_that_kept_nothing_says_nothing_of_files(alice_client, run):
    assert '<section class="block" id="kept-files" aria-labelledby="outputs" hidden>' in page_of(alice_client, run)


def test_the_live_page_hears_of_the_files_at_the_end(run, keep):
    keep("report.txt")
    assert f'href="/runs/{run.pk}/outputs/report.txt"' in state_fragments.state_html(ALICE, run)
    run.state = State.RUNNING
    assert "kept-files" not in state_fragments.state_html(ALICE, run)


async def test_a_file_comes_as_it_is_and_is_to_be_saved(run, keep, session):
    data = os.urandom(outputs.PIECE * 2 + 17)
    keep("out/a ä.html", data)
    start, body = await download(run, "out/a ä.html", session)
    headers = start["headers"]
    assert (start["status"], body) == (200, data)
    assert headers[b"Content-Type"] == b"application/octet-stream"
    assert headers[b"Content-Length"] == str(len(data)).encode()
    assert unquote(headers[b"Content-Disposition"].decode()) == "attachment; filename*=utf-8''a ä.html"
    assert headers[b"X-Content-Type-Options"] == b"nosniff"
    assert headers[b"Content-Security-Policy"] == b"sandbox; default-src 'none'"


async def test_a_file_whose_name_hides_a_secret_is_there_to_download(run, keep, session):
    keep("out/report-***.txt")
    (file,) = (await asyncio.to_thread(outputs.outputs_context, run))["outputs"]
    assert file.url == f"/runs/{run.pk}/outputs/out/report-***.txt"
    assert (await download(run, "out/report-***.txt", session))[1] == b"kept"


async def test_an_empty_file_is_a_file(run, keep, session):
    keep("empty", b"")
    start, body = await download(run, "empty", session)
    assert (start["status"], body) == (200, b"")


@pytest.mark.parametrize(
    "name",
    ["nothing", "out", "../log", "out/../../log", "./report.txt", "/etc/passwd", "out//a", "a\0b", "x" * 5000, *OTHERS],
)
async def test_nothing_but_a_file_below_the_runs_own_folder_is_given(run, keep, session, name):
    keep("report.txt")
    folder = keep("out/a").parent
    (run.folder / "log").write_bytes(b"the log")
    for place in (folder, folder.parent):
        (place / "link").symlink_to("/etc/passwd")
        os.mkfifo(place / "pipe")
    (folder.parent / "linked").symlink_to(run.folder)
    start, body = await download(run, name, session)
    assert (start["status"], body) == (404, b"There is nothing here that you may see.")


def test_what_is_no_file_is_not_listed(run, keep):
    folder = keep("out/a").parent
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "linked").symlink_to("/etc")
    os.mkfifo(folder / "pipe")
    assert listed(run) == [("out/a", 4)]


def test_a_file_that_goes_while_they_are_listed_takes_no_other_along(run, keep):
    for name in "abc":
        keep(name)
    with outputs._opened(run.folder / "outputs", outputs.FOLDER) as folder:
        files = outputs._files(run, folder)
        first = next(files).name
        gone, left = sorted({*"abc"} - {first})
        (run.folder / "outputs" / gone).unlink()
        assert [file.name for file in files] == [left]


async def test_a_folder_that_is_itself_a_link_holds_nothing(run, session, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/secret").write_text("secret")
    run.folder.mkdir(parents=True)
    (run.folder / "outputs").symlink_to(tmp_path / "elsewhere")
    assert listed(run) == []
    assert (await download(run, "secret", session))[0]["status"] == 404


def test_a_name_that_cannot_stand_in_an_address_is_listed_without_one(run, keep):
    keep(b"line\nbreak")
    keep(b"not utf-8 \xff")
    found = outputs.outputs_context(run)["outputs"]
    assert [(file.name, file.url) for file in found] == [("line\nbreak", ""), ("not utf-8 ?", "")]


def test_of_very_many_files_some_are_listed(alice_client, run, keep, monkeypatch):
    monkeypatch.setattr(outputs, "MOST_LISTED", 3)
    for number in range(5):
        keep(f"out/{number}")
    assert len(listed(run)) == 3
    assert "There are more than these 3" in page_of(alice_client, run)


async def test_who_may_not_see_the_run_gets_none_of_its_files(run, keep):
    keep("report.txt")
    bob = await asyncio.to_thread(lambda: client_of("bob", "dev").session)
    start, body = await download(run, "report.txt", bob)
    assert (start["status"], b"kept" in body) == (404, False)


async def test_a_file_is_only_read(run, keep, session):
    keep("report.txt")
    assert (await download(run, "report.txt", session, method="POST"))[0]["status"] == 405
