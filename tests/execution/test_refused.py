"""What is told of attempts without the claims: each is a run and a line of the log, one a minute is in the History."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from runbooks import library as runbook_library
from runbooks.access.actor import Actor
from runbooks.access.rules import Refused
from runbooks.document.runbook import LARGEST_FILE
from runbooks.execution import settle
from runbooks.execution.control import start_run
from runbooks.models import Run, State

BOB, CAROL = Actor("bob", {"roles": ("guest",)}), Actor("carol", {})
AT_ONCE = 4


@pytest.fixture
def source(a_runbook) -> str:
    return a_runbook(claims={"roles": ["sre"]})


@pytest.fixture
def attempt(database, library, source) -> Callable[..., Run]:
    """Try to start restart.md, which refuses everybody here."""
    library.add("restart.md", source)

    def attempt(actor: Actor = BOB, path: str = "restart.md") -> Run:
        with pytest.raises(Refused):
            start_run(actor, runbook_library.runbook_for(actor, path), values={})
        return Run.objects.filter(actor=actor.id).latest("pk")

    return attempt


def told(library, path: str = "restart.md") -> list[str]:
    """The lines of the runbook's History that name a run."""
    return [line for line in (library.root / path).read_text().splitlines() if line.startswith("Run ")]


def test_the_history_says_who_was_refused_when_and_why(attempt, library):
    run = attempt()
    history = (library.root / "restart.md").read_text().partition("# History\n")[2]
    assert f"## {run.ended_at:%Y-%m-%d %H:%M:%S} UTC: refused, exit code 403\n\nRun {run.pk} by `bob`" in history
    assert "stderr:\n\n```text\nYou need one of these roles: sre. You have: guest.\n```" in history
    assert (run.is_in_history, run.warnings) == (True, [])


def test_of_one_actor_it_is_told_once_a_minute_and_recorded_each_time(attempt, library):
    runs = [attempt() for _ in range(3)]
    assert told(library) == [f"Run {runs[0].pk} by `bob`"]
    assert [run.is_in_history for run in runs] == [True, False, False]
    Run.objects.update(ended_at=timezone.now() - timedelta(seconds=61))
    later = attempt()
    assert told(library) == [f"Run {runs[0].pk} by `bob`", f"Run {later.pk} by `bob`"]


def test_other_actors_and_other_runbooks_have_minutes_of_their_own(attempt, library, a_runbook):
    library.add("other.md", a_runbook(name="other", claims={"roles": ["sre"]}))
    attempt(BOB), attempt(CAROL), attempt(BOB, "other.md")
    assert (len(told(library)), len(told(library, "other.md"))) == (2, 1)


def test_a_run_in_the_same_minute_does_not_hide_a_refusal(attempt, library):
    Run.objects.create(runbook="restart.md", actor="bob", timeout=1, state=State.SUCCEEDED, ended_at=timezone.now())
    assert attempt().is_in_history


def test_claims_that_cannot_be_read_are_told_of_too(attempt, library, source):
    library.add("restart.md", source.replace("roles: sre", "roles: [sre"))
    run = attempt()
    assert told(library) == [f"Run {run.pk} by `bob`"]
    assert "Its Required Claims cannot be read" in (library.root / "restart.md").read_text()


def test_a_read_only_file_is_a_warning_and_the_next_attempt_tries_again(attempt, library):
    file = library.root / "restart.md"
    file.chmod(0o444)
    run = attempt()
    assert (run.is_in_history, run.warnings) == (False, ["History was not written: restart.md is read-only."])
    file.chmod(0o644)
    assert attempt().is_in_history
    assert len(told(library)) == 1


def test_what_is_too_large_to_be_read_is_not_read_for_its_history(attempt, library, monkeypatch):
    library.add("restart.md", b"x" * (LARGEST_FILE + 1))
    monkeypatch.setattr(settle.history, "append", lambda *args, **options: pytest.fail("it was read"))
    run = attempt()
    assert (run.state, run.is_in_history, run.warnings) == (State.REFUSED, False, [])


def test_attempts_do_not_fill_the_disk_with_what_was_refused(attempt):
    run = attempt(Actor("mallory", {"groups": tuple(f"group {number}" for number in range(1000)), "roles": ("dev",)}))
    assert (run.source, run.claims) == ("", {"roles": ["dev"]})


def test_no_history_is_kept_where_none_is_wanted(attempt, library, settings, source):
    settings.HISTORY_ENTRIES = 0
    assert not attempt().is_in_history
    assert (library.root / "restart.md").read_text() == source


def test_what_another_database_has_left_behind_is_not_taken_for_its_output(attempt, library, settings):
    folder = settings.DATA_DIR / "runs" / str(attempt(CAROL).pk + 1)
    folder.mkdir(parents=True)
    (folder / "log").write_text("2026-11-22T16:23:59.123456Z stdout F another's secret\n")
    assert attempt().folder == folder
    assert "another's secret" not in (library.root / "restart.md").read_text()


def test_of_many_attempts_at_the_same_moment_one_is_told(attempt, library, monkeypatch):
    barrier, takes = threading.Barrier(AT_ONCE), settle._takes_the_minute

    def wait_and_take(run: Run) -> bool:
        barrier.wait(10)
        return takes(run)

    def attempt_here(number: int) -> None:
        try:
            attempt()
        finally:
            connections.close_all()

    monkeypatch.setattr(settle, "_takes_the_minute", wait_and_take)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(attempt_here, range(AT_ONCE)))
    assert (len(told(library)), Run.objects.filter(is_in_history=True).count()) == (1, 1)
    assert Run.objects.filter(state=State.REFUSED).count() == AT_ONCE


def test_each_attempt_is_a_line_of_the_log(attempt, caplog):
    caplog.set_level(logging.INFO, "runbooks.runs")
    runs = [attempt() for _ in range(2)]
    assert [(line.run_id, line.state, line.actor, line.return_code) for line in caplog.records] == [
        (run.pk, "refused", "bob", 403) for run in runs
    ]
