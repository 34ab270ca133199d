"""The one door to execution: who may start what with which values, and who ends it."""

import pytest

from runbooks import library as runbook_library
from runbooks.access.actor import Actor
from runbooks.access.rules import Refused
from runbooks.document.validate import InvalidValues
from runbooks.execution.control import CannotRun, cancel_run, start_run
from runbooks.execution.sealing import unseal
from runbooks.models import Run, State

from .conftest import ALICE

BOB = Actor("bob", {"roles": ("guest",)})


def test_a_run_is_queued_with_what_was_asked_and_by_whom(a_run):
    run = a_run(
        requirements={"REPLICA": "which", "PASSWORD": "its"}, values={"REPLICA": "db-2", "PASSWORD": "opensesame"}
    )
    run = Run.objects.get(pk=run.pk)
    assert (run.state, run.actor, run.claims, run.runbook) == (State.QUEUED, "alice", {"roles": ["sre"]}, "restart.md")
    assert run.values == {"REPLICA": "db-2", "PASSWORD": "***"}
    assert unseal(run.sealed_values) == {"PASSWORD": "opensesame"}
    assert run.log.read_bytes() == b""


def test_the_runbook_decides_on_the_timeout_or_else_the_server(a_run, settings):
    settings.SCRIPT_TIMEOUT_SECONDS = 77
    assert a_run().timeout == 77
    assert a_run(settings={"timeout": 5}).timeout == 5


def test_a_change_of_the_file_does_not_change_a_queued_run(a_run, finish, library, a_runbook):
    run = a_run("echo before")
    library.add("restart.md", a_runbook(script="echo after"))
    assert b"before" in finish(run).log.read_bytes()


def test_without_the_claim_a_run_is_refused_and_recorded(database, library, a_runbook):
    library.add("restart.md", a_runbook(claims={"roles": ["sre"]}))
    with pytest.raises(Refused):
        start_run(BOB, runbook_library.runbook_for(BOB, "restart.md"), values={"PASSWORD": "opensesame"})
    run = Run.objects.get()
    assert (run.state, run.return_code, run.actor, run.values, run.sealed_values) == (
        State.REFUSED,
        403,
        "bob",
        {},
        None,
    )
    assert not run.folder.exists()


def test_a_runbook_with_errors_does_not_run(a_run):
    with pytest.raises(CannotRun, match="No interpreter is known for 'cobol'"):
        a_run(language="cobol")
    assert not Run.objects.exists()


def test_values_that_do_not_fit_do_not_run(a_run):
    with pytest.raises(InvalidValues):
        a_run(values={"PATH": "/tmp"})
    assert not Run.objects.exists()


def test_a_run_that_cannot_have_a_folder_is_not_recorded(a_run, settings):
    settings.DATA_DIR.write_text("a file is in the way")
    with pytest.raises(CannotRun, match="could not be recorded"):
        a_run()
    assert not Run.objects.exists()


def test_a_queued_run_is_cancelled_at_once_and_its_secrets_go(a_run):
    run = a_run(requirements={"PASSWORD": "its"}, values={"PASSWORD": "opensesame"})
    cancel_run(ALICE, run)
    run = Run.objects.get()
    assert (run.state, run.cancelled_by, run.sealed_values) == (State.CANCELLED, "alice", None)
    assert run.ended_at == pytest.approx(run.cancelled_at, abs=run.ended_at - run.queued_at)


def test_the_first_who_cancels_a_running_run_is_recorded(a_run):
    run = a_run()
    run.take()
    cancel_run(ALICE, run)
    cancel_run(BOB, Run.objects.get())
    assert (Run.objects.get().state, Run.objects.get().cancelled_by) == (State.RUNNING, "alice")


def test_cancelling_what_has_ended_changes_nothing(a_run, finish):
    run = finish(a_run())
    cancel_run(ALICE, run)
    assert (Run.objects.get().state, Run.objects.get().cancelled_at) == (State.SUCCEEDED, None)


def test_who_cancels_with_an_old_row_changes_nothing_either(a_run, finish):
    run = a_run()
    old = Run.objects.get()
    finish(run)
    cancel_run(ALICE, old)
    assert (Run.objects.get().state, Run.objects.get().cancelled_at) == (State.SUCCEEDED, None)


def test_a_full_bell_costs_no_run(a_run):
    """The channel layer holds a hundred messages; nobody listens here."""
    for _ in range(105):
        run = a_run()
    assert run.state == State.QUEUED
