"""A database that cannot be had is told in words: to people, to programs, to streams, and in one line to the log."""

import contextlib
import json
import logging
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from channels.testing import ApplicationCommunicator
from django.db import DatabaseError, IntegrityError, OperationalError, connection
from django.db.backends.sqlite3.base import DatabaseWrapper
from django.test import Client

from runbooks.access.actor import Actor
from runbooks.access.tokens import issue
from runbooks.api.consumers import RunEvents
from runbooks.models import Run
from runbooks.web.consumers import Log
from runbookweb import database as told
from runbookweb.log import JsonLines
from tests.conftest import a_live_run, client_of


@contextlib.contextmanager
def pragma(setting: str) -> Iterator[None]:
    """A database that does not do as it should: SQLite itself sees to that."""
    name, _, value = setting.partition("=")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")  # or what other tests have deleted would leave room on a full disk
        before = cursor.execute(f"PRAGMA {name}").fetchone()[0]
        cursor.execute(f"PRAGMA {name}={value}")
        yield
        cursor.execute(f"PRAGMA {name}={before}")


def problem_of(file: Path, *, writes: bool = False) -> DatabaseError:
    """What Django says of a file that SQLite cannot use."""
    settings = {**connection.settings_dict, "NAME": str(file), "OPTIONS": {"timeout": 0}}
    other = DatabaseWrapper(settings, alias="other")
    try:
        with other.cursor() as cursor:
            cursor.execute("CREATE TABLE another (one)" if writes else "SELECT 1 FROM sqlite_master")
    except DatabaseError as problem:
        return problem
    finally:
        other.close()
    raise AssertionError("nothing is the matter with it")


@pytest.mark.django_db
def test_a_locked_database_is_busy(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "db", isolation_level=None)) as locking:
        locking.execute("BEGIN EXCLUSIVE")
        problem = problem_of(tmp_path / "db", writes=True)
    assert told.trouble(problem) == "The database is busy: something else is writing into it."
    assert told.is_undone(problem)


@pytest.mark.django_db
def test_a_file_that_is_no_database_is_damaged(tmp_path):
    (tmp_path / "db").write_bytes(b"nothing" * 1000)
    assert told.trouble(problem_of(tmp_path / "db")) == "The database is damaged."


@pytest.mark.django_db
def test_a_folder_that_is_not_there_cannot_be_opened(tmp_path):
    assert told.trouble(problem_of(tmp_path / "nowhere/db")) == "The database cannot be opened."


def test_what_another_database_says_when_it_is_away_is_kept_from_clients():
    problem = OperationalError("no route to db.internal")
    assert (told.trouble(problem), told.is_undone(problem)) == ("The database does not answer.", False)


@pytest.mark.parametrize("problem", [IntegrityError("there is one already"), ValueError("no number"), None])
def test_a_fault_of_ours_is_no_trouble_of_the_database(problem):
    assert told.trouble(problem) == ""


@pytest.fixture
def alice(transactional_db, library, a_runbook) -> Client:
    """A person, and a runbook that needs new pages of the database for its run."""
    library.add("restart.md", a_runbook(about="Restarts. " * 5000))
    client = client_of("alice", "sre")
    client.raise_request_exception = False
    return client


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("query_only=1", "The database cannot be written into."),
        ("max_page_count=1", "The disk with the database is full."),
    ],
)
def test_a_person_who_starts_a_run_is_told_that_nothing_was_started(alice, caplog, fault, sentence):
    with pragma(fault):
        answer = alice.post("/runbooks/restart.md/runs/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert sentence in answer.content.decode()
    assert "Nothing was started." in answer.content.decode()
    assert not Run.objects.exists()
    assert "A run could not be recorded" in caplog.text


def test_a_page_whose_session_cannot_be_saved_says_why(alice):
    with pragma("query_only=1"):
        answer = alice.post("/login/", {"subject": "bob", "roles": "sre"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert "The database cannot be written into." in answer.content.decode()
    assert "Nothing was started." not in answer.content.decode()


def test_a_program_is_told_to_ask_again(alice):
    run = a_live_run()
    token, _ = issue(Actor("alice", {"roles": ("sre",)}))
    with pragma("query_only=1"):
        answer = alice.post(f"/api/runs/{run.pk}/cancel", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert answer.json() == {
        "success": False,
        "error": "The database cannot be written into. Ask again in a moment.",
    }


@pytest.mark.parametrize(("consumer", "body"), [(RunEvents, "Ask again in a moment."), (Log, "does not answer.")])
async def test_a_stream_answers_503_and_not_500(alice, monkeypatch, consumer, body):
    def fail(*arguments: object) -> None:
        raise OperationalError("no route to db.internal")

    monkeypatch.setattr(consumer, "identify", fail)
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [(b"host", b"localhost")]}
    request = ApplicationCommunicator(consumer.as_asgi(), scope | {"url_route": {"kwargs": {"pk": 1}}})
    await request.send_input({"type": "http.request"})
    begun, answer = await request.receive_output(5), await request.receive_output(5)
    assert (begun["status"], (b"Retry-After", b"10") in begun["headers"]) == (503, True)
    assert answer["body"].decode().startswith(('{"success": false', "The database does not answer."))
    assert body in answer["body"].decode()


def test_the_log_tells_of_it_in_one_line_and_of_a_fault_of_ours_with_its_place():
    def logged(problem: Exception) -> str:
        try:
            raise problem
        except type(problem):
            record = logging.makeLogRecord({"msg": "Trouble", "exc_info": sys.exc_info()})
        return json.loads(JsonLines().format(record))["exception"]

    assert logged(OperationalError("database is locked")) == "OperationalError: database is locked"
    assert logged(ValueError("no number")).startswith("Traceback")


@pytest.mark.django_db
def test_a_wrong_query_is_a_fault_of_ours_and_not_the_databases():
    with pytest.raises(OperationalError) as wrong, connection.cursor() as cursor:
        cursor.execute("SELECT nothing FROM nowhere")
    assert told.trouble(wrong.value) == ""
