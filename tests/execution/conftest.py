"""Fixtures for execution: scripts under real supervisors, and runs in a database that threads share."""

import itertools
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from channels.layers import channel_layers
from django.db import connection

from runbooks import library as runbook_library
from runbooks.access.actor import Actor
from runbooks.execution import control, launch
from runbooks.execution.runner import settle_if_ended
from runbooks.execution.runner import start as start_taken
from runbooks.models import Run

from .supervising import MARK, PATIENCE, Process, Supervised, kill, processes_with, start, supervisors_in, until

ALICE = Actor("alice", {"roles": ("sre",)})


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., Supervised]]:
    """Start a script under a supervisor of its own; whatever it leaves behind goes after the test."""
    started, number = [], itertools.count(1)

    def supervise(script: str | bytes, **options: object) -> Supervised:
        started.append(start(tmp_path / "supervised" / str(next(number)), script, **options))
        return started[-1]

    yield supervise
    for supervised in started:
        supervised.clean_up()


@pytest.fixture
def database(transactional_db) -> Iterator[Path]:
    """The database's file, and no bell that an earlier test's event loop has rung."""
    channel_layers.backends.clear()
    yield Path(connection.settings_dict["NAME"])
    channel_layers.backends.clear()


@pytest.fixture
def mark(settings, monkeypatch: pytest.MonkeyPatch) -> str:
    """What all processes of this test's scripts have in their environment, by way of SCRIPT_ENV."""
    mark = uuid.uuid4().hex
    monkeypatch.setenv(MARK, mark)
    settings.SCRIPT_ENV = (MARK,)
    return mark


@pytest.fixture
def a_run(database: Path, library, a_runbook, mark: str, settings) -> Iterator[Callable[..., Run]]:
    """Queue a run as a page does; what is left of its processes goes after the test."""

    def a_run(script: str = "echo hello", *, name: str = "restart", values=None, **runbook: object) -> Run:
        library.add(f"{name}.md", a_runbook(name=name, script=script, **runbook))
        found = runbook_library.runbook_for(ALICE, f"{name}.md")
        return control.start_run(ALICE, found, values=values or {})

    yield a_run
    end_all(mark, settings)


def launched(run: Run) -> Process | None:
    """Take a run and start it, as the runner does."""
    launch.forkserver().start()  # a runner that has ended has let go of it
    lock = launch.take(run)
    pid = None if lock is None else start_taken(run, lock)
    return Process(pid) if pid else None


@pytest.fixture
def begin(a_run, mark: str, settings) -> Iterator[Callable[[Run], Process | None]]:
    """Launch a run."""
    supervisors = []

    def begin(run: Run) -> Process | None:
        supervisors.append(launched(run))
        return supervisors[-1]

    yield begin
    begun = [supervisor for supervisor in supervisors if supervisor]
    until(lambda: not [kill(pid) for pid in processes_with(mark)] and not [one for one in begun if one.is_alive()])


@pytest.fixture
def finish(begin) -> Callable[[Run], Run]:
    """Launch a run and settle it when its script has ended."""

    def finish(run: Run) -> Run:
        begin(run).wait(PATIENCE)
        settle_if_ended(run)
        run.refresh_from_db()
        return run

    return finish


def end_all(mark: str, settings) -> None:
    """End the test's scripts, and wait for their supervisors, which write into their folders until then."""
    until(lambda: not [kill(pid) for pid in processes_with(mark)] and not supervisors_in(settings.DATA_DIR))
