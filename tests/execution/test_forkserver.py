"""The process that supervisors are forked from: what they share, and what becomes of runs when it dies."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runbooks.execution import folder, launch
from runbooks.execution.control import cancel_run
from runbooks.execution.runner import settle_if_ended
from runbooks.models import Run, State

from .conftest import ALICE
from .supervising import PATIENCE, status, supervisors_in, until


@pytest.fixture
def forks():
    """The process of this test's own fork server."""
    launch.forkserver().start()
    return launch.forkserver().process


def test_a_supervisor_is_a_fork_of_it_in_a_session_of_its_own(a_run, begin, forks):
    supervisor = begin(a_run("sleep 60")).pid
    assert int(status(supervisor, "PPid")) == forks.pid
    until(lambda: os.getsid(supervisor) == supervisor)


def test_supervisors_go_on_when_it_is_killed_and_the_next_run_starts_another(a_run, begin, forks):
    first = a_run("until [ -e go ]; do sleep 0.01; done; echo done", name="first")
    begin(first)
    forks.kill()
    forks.wait()
    second = a_run(name="second")
    begin(second).wait()
    (first.work / "go").touch()
    until(lambda: settle_if_ended(first) and settle_if_ended(second))
    assert [run.state for run in Run.objects.all()] == [State.SUCCEEDED, State.SUCCEEDED]
    assert launch.forkserver().process.pid != forks.pid


def test_two_supervisors_for_one_run_start_its_script_once(a_run, begin, tmp_path):
    run = a_run(f"echo begun >> {tmp_path}/begun; sleep 0.3")
    lock = launch.take(run)
    spawn = launch.forkserver().spawn
    launch.forkserver().spawn = lambda *given, **named: spawn(*given, **named) and spawn(*given, **named)
    try:
        launch.start(run, lock)
    finally:
        launch.forkserver().spawn = spawn
        os.close(lock)
    until(lambda: settle_if_ended(run))
    assert (tmp_path / "begun").read_text() == "begun\n"
    assert Run.objects.get().state == State.SUCCEEDED


def test_it_leaves_no_zombies(a_run, begin, forks):
    for number in range(3):
        begin(a_run(name=f"n{number}")).wait()
    children = Path(f"/proc/{forks.pid}/task/{forks.pid}/children")
    until(lambda: not children.read_text().split())


def test_a_supervisor_holds_no_descriptor_but_its_own(a_run, begin, settings):
    first = a_run("sleep 60", name="first")
    begin(first)
    second = a_run("sleep 60", name="second")
    begin(second)
    until(lambda: folder.has_started(second.folder))
    (pid,) = supervisors_in(second.folder)
    opened = [str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir()]
    assert not [name for name in opened if name.startswith(f"{first.folder}/") or name.startswith("socket:")]


def test_one_that_is_stopped_holds_up_nobody_who_wants_to_end(a_run, forks):
    run = a_run()
    lock = launch.take(run)
    os.kill(forks.pid, signal.SIGSTOP)
    with ThreadPoolExecutor() as threads:
        starting = threads.submit(launch.start, run, lock)
        until(lambda: launch.forkserver().turn.locked())
        launch.forkserver().abandon()
        assert isinstance(starting.exception(PATIENCE), OSError)
    os.close(lock)
    assert settle_if_ended(run)
    assert Run.objects.get().state == State.QUEUED


def test_a_run_that_is_cancelled_while_it_is_forked_never_begins(a_run, forks):
    run = a_run("echo begun")
    lock = launch.take(run)
    os.kill(forks.pid, signal.SIGSTOP)
    with ThreadPoolExecutor() as threads:
        starting = threads.submit(launch.start, run, lock)
        until(lambda: launch.forkserver().turn.locked())
        cancel_run(ALICE, Run.objects.get())
        os.kill(forks.pid, signal.SIGCONT)
        assert starting.exception(PATIENCE).result.state == State.CANCELLED
    os.close(lock)
    assert not folder.has_started(run.folder)
