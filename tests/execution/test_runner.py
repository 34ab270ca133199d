"""The runner: takes what waits, adopts what runs, settles what has ended, and loses nothing when it is killed."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone

from runbooks.execution import folder, launch, runner, upkeep
from runbooks.execution.control import cancel_run
from runbooks.execution.runner import Runner, run_forever
from runbooks.models import Run, State
from runbooks.threads import in_thread

from .conftest import ALICE, end_all
from .supervising import PATIENCE, processes_with, supervisors_in

PROJECT = Path(__file__).parent.parent.parent
# Takes the queued runs as a runner does, and is killed with -9 when their scripts have begun.
RUNNER = """
import asyncio, os, signal, django
django.setup()
from django.conf import settings
from django.db import connections
from pathlib import Path
for name in ("DATA_DIR", "EXECUTION_DIR", "RUNBOOKS_DIR"):
    setattr(settings, name, Path(os.environ[name]))
connections.settings["default"]["NAME"] = os.environ["DATABASE"]
from runbooks.execution.runner import Runner
from runbooks.models import Run
from runbooks.execution import folder, launch, runner
runner.settle_if_ended = lambda run: False  # it dies before it comes to that
async def take():
    await Runner().look()
    runs = [run async for run in Run.objects.filter(state="running")]
    while not all(folder.has_started(run.folder) for run in runs):
        await asyncio.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(take())
"""
GO = "until [ -e {0} ]; do sleep 0.01; done; echo gone on"


@pytest.fixture
def sweeps(monkeypatch):
    """Runners that look more often than in service, so that tests without a bell need not wait."""
    monkeypatch.setattr(runner, "SWEEP", 0.1)
    monkeypatch.setattr(runner, "PULSE", 0.1)


@pytest.fixture
def a_runner(a_run, mark, settings) -> Iterator[Callable[[], Runner]]:
    """Make a runner; the supervisors that it leaves behind are waited for after the test."""
    yield Runner
    end_all(mark, settings)


@asynccontextmanager
async def at_work(work: Callable) -> AsyncIterator[None]:
    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], object]) -> object:
    """Wait until the condition holds in a thread, where it may ask the database."""
    async with asyncio.timeout(PATIENCE):
        while not (found := await in_thread(condition)):  # noqa: ASYNC110 - it happens in other processes
            await asyncio.sleep(0.01)
    return found


def states() -> list[str]:
    return list(Run.objects.order_by("pk").values_list("state", flat=True))


def are_all_over() -> bool:
    return not Run.objects.filter(state__in=(State.QUEUED, State.RUNNING)).exists()


async def test_it_takes_and_settles_a_run(a_run, a_runner, library, sweeps):
    run = await in_thread(a_run, "echo hello; exit 3")
    async with at_work(a_runner().run):
        await until(are_all_over)
    await in_thread(run.refresh_from_db)
    assert (run.state, run.return_code) == (State.FAILED, 3)
    assert f"Run {run.pk} by `alice`" in (library.root / "restart.md").read_text()
    await until(lambda: not run.work.exists())


async def test_it_takes_runs_in_order_of_arrival_and_not_too_many_at_once(a_run, a_runner, settings, sweeps, tmp_path):
    settings.MAX_CONCURRENT_RUNS = 2
    script = f"echo $RUNBOOK_RUN_ID >> {tmp_path}/order; " + GO.format(f"{tmp_path}/$RUNBOOK_RUN_ID")
    runs = [await in_thread(a_run, script) for _ in range(5)]
    async with at_work(a_runner().run):
        for number, run in enumerate(runs):
            active = min(2, 5 - number)
            await until(
                lambda n=number, a=active: states() == ["succeeded"] * n + ["running"] * a + ["queued"] * (5 - n - a)
            )
            (tmp_path / str(run.pk)).touch()
        await until(are_all_over)
    assert sorted((tmp_path / "order").read_text().split(), key=int) == [str(run.pk) for run in runs]


async def test_a_slow_run_does_not_hold_up_the_others(a_run, a_runner, settings, sweeps):
    settings.MAX_CONCURRENT_RUNS = 2
    await in_thread(a_run, "sleep 60")
    for _ in range(4):
        await in_thread(a_run)
    async with at_work(a_runner().run):
        await until(lambda: states() == ["running", *["succeeded"] * 4])


async def test_a_sub_run_needs_no_place_of_its_parents_and_takes_none(a_run, a_runner, settings, sweeps, tmp_path):
    settings.MAX_CONCURRENT_RUNS = 1
    outer = await in_thread(a_run, GO.format(tmp_path / "outer"))
    waiting = await in_thread(a_run)
    between, inner = [await in_thread(a_run, GO.format(tmp_path / name)) for name in ("between", "inner")]
    await in_thread(Run.objects.filter(pk=between.pk).update, parent=outer)
    await in_thread(Run.objects.filter(pk=inner.pk).update, parent=between)
    async with at_work(a_runner().run):
        await until(lambda: states() == ["running", "queued", "running", "running"])
        for name in ("inner", "between"):
            (tmp_path / name).touch()
        await until(lambda: states() == ["running", "queued", "succeeded", "succeeded"])
        (tmp_path / "outer").touch()
        await until(are_all_over)
    await in_thread(waiting.refresh_from_db)
    await in_thread(outer.refresh_from_db)
    assert waiting.started_at >= outer.ended_at


async def test_the_sub_runs_of_one_run_wait_for_each_other(a_run, a_runner, settings, sweeps, tmp_path):
    settings.MAX_CONCURRENT_RUNS = 1
    outer = await in_thread(a_run, GO.format(tmp_path / "outer"))
    for name in ("first", "second"):
        run = await in_thread(a_run, GO.format(tmp_path / name))
        await in_thread(Run.objects.filter(pk=run.pk).update, parent=outer)
    async with at_work(a_runner().run):
        await until(lambda: states() == ["running", "running", "queued"])
        (tmp_path / "first").touch()
        await until(lambda: states() == ["running", "succeeded", "running"])
        for name in ("second", "outer"):
            (tmp_path / name).touch()
        await until(are_all_over)


async def test_the_bell_makes_it_look_at_once(a_run, a_runner, monkeypatch):
    monkeypatch.setattr(runner, "SWEEP", 1000.0)
    monkeypatch.setattr(runner, "Runner", a_runner)
    async with at_work(run_forever):
        for number in range(1, 4):
            await in_thread(a_run)
            await until(lambda n=number: states() == ["succeeded"] * n)


async def test_a_bell_that_nobody_hears_costs_no_run(a_run, a_runner, sweeps):
    async with at_work(a_runner().run):
        await asyncio.sleep(0)
        await in_thread(a_run)
        await until(are_all_over)
    assert await in_thread(states) == ["succeeded"]


async def test_a_cancelled_runner_leaves_scripts_alone_and_the_next_adopts_them(
    a_run, a_runner, library, sweeps, tmp_path
):
    run = await in_thread(a_run, GO.format(tmp_path / "go"))
    async with at_work(a_runner().run):
        await until(lambda: folder.has_started(run.folder))
    assert folder.is_alive(run.folder)
    async with at_work(a_runner().run):
        (tmp_path / "go").touch()
        await until(are_all_over)
    assert await in_thread(states) == ["succeeded"]
    assert (library.root / "restart.md").read_text().count("by `alice`") == 1


def killed_runner(database: Path, settings) -> None:
    """A runner in a process of its own that has taken what was queued, and is no more."""
    names = ("DATA_DIR", "EXECUTION_DIR", "RUNBOOKS_DIR")
    places = {name: str(getattr(settings, name)) for name in names} | {
        "DATABASE": str(database),
        "SCRIPT_ENV": "TEST_MARK",
    }
    command = [sys.executable, "-c", RUNNER]
    ended = subprocess.run(command, env={**os.environ, **places}, cwd=PROJECT, check=False)
    assert ended.returncode == -signal.SIGKILL


async def test_runs_of_a_killed_runner_are_adopted(a_run, a_runner, database, library, settings, sweeps, tmp_path):
    going = await in_thread(a_run, GO.format(tmp_path / "go") + "; exit 7")
    ended = await in_thread(a_run, "exit 8")
    await in_thread(killed_runner, database, settings)
    assert await in_thread(states) == ["running", "running"]
    await until(lambda: folder.read_result(ended.folder))
    assert folder.is_alive(going.folder)
    async with at_work(a_runner().run):
        await until(lambda: states() == ["running", "failed"])
        (tmp_path / "go").touch()
        await until(are_all_over)
    codes = await in_thread(lambda: [Run.objects.get(pk=run.pk).return_code for run in (going, ended)])
    assert codes == [7, 8]
    assert b"gone on" in going.log.read_bytes()
    source = (library.root / "restart.md").read_text()
    assert [source.count(f"Run {run.pk} by") for run in (going, ended)] == [1, 1]


async def test_two_runners_settle_a_run_once(a_run, a_runner, library, sweeps):
    runs = [await in_thread(a_run) for _ in range(5)]
    async with at_work(a_runner().run), at_work(a_runner().run):
        await until(are_all_over)
    source = (library.root / "restart.md").read_text()
    assert [source.count(f"Run {run.pk} by") for run in runs] == [1] * 5
    assert await in_thread(states) == ["succeeded"] * 5


async def test_a_run_whose_supervisor_is_killed_is_lost(a_run, a_runner, settings, sweeps):
    run = await in_thread(a_run, "sleep 60")
    async with at_work(a_runner().run):
        await until(lambda: folder.has_started(run.folder))
        os.kill(supervisors_in(settings.DATA_DIR)[0], signal.SIGKILL)
        await until(lambda: states() == ["lost"])


async def test_a_run_whose_script_never_began_runs_once(a_run, a_runner, sweeps):
    run = await in_thread(a_run, "echo $$ >> ../count-$RUNBOOK_RUN_ID")
    # As a runner leaves it that is killed between taking the row and starting the supervisor.
    assert await in_thread(run.take)
    async with at_work(a_runner().run):
        await until(are_all_over)
    assert await in_thread(states) == ["succeeded"]
    assert (run.work.parent / f"count-{run.pk}").read_text().count("\n") == 1


async def test_a_queued_run_that_is_cancelled_never_starts(a_run, a_runner, settings, sweeps):
    settings.MAX_CONCURRENT_RUNS = 1
    first, second = [await in_thread(a_run, "sleep 60") for _ in range(2)]
    async with at_work(a_runner().run):
        await until(lambda: folder.has_started(first.folder))
        await in_thread(cancel_run, ALICE, second)
        await in_thread(cancel_run, ALICE, await in_thread(Run.objects.get, pk=first.pk))
        await until(are_all_over)
    assert await in_thread(states) == ["cancelled", "cancelled"]
    assert not folder.has_started(second.folder)


async def test_a_running_run_is_cancelled_with_all_its_processes(a_run, a_runner, mark, sweeps):
    run = await in_thread(a_run, "setsid sleep 61 & sleep 62")
    async with at_work(a_runner().run):
        await until(lambda: folder.has_started(run.folder) and len(processes_with(mark)) >= 3)
        await in_thread(cancel_run, ALICE, await in_thread(Run.objects.get))
        await until(are_all_over)
    assert await in_thread(states) == ["cancelled"]
    assert b"[runbook] cancelled by alice" in run.log.read_bytes()
    assert processes_with(mark) == []


async def test_a_request_to_end_that_the_supervisor_missed_is_passed_on_by_the_next_runner(
    a_run, a_runner, begin, sweeps
):
    run = await in_thread(a_run, "sleep 60")
    await in_thread(begin, run)
    await in_thread(Run.objects.update, cancelled_at=timezone.now(), cancelled_by="alice")
    async with at_work(a_runner().run):
        await until(are_all_over)
    assert await in_thread(states) == ["cancelled"]


@pytest.fixture
def a_broken_run(a_run) -> Iterator[Run]:
    """A run that nobody can settle: the database refuses each change of its row."""
    run = a_run()
    run.take()
    refuse = f"WHEN OLD.id = {run.pk} BEGIN SELECT RAISE(ABORT, 'broken'); END"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TRIGGER broken BEFORE UPDATE ON runbooks_run {refuse}")
    yield run
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER broken")


async def test_a_run_that_cannot_be_settled_does_not_stop_the_others(a_run, a_runner, a_broken_run, sweeps, caplog):
    await in_thread(a_run, name="other")
    async with at_work(a_runner().run):
        await until(lambda: states() == ["running", "succeeded"])
    assert f"Trouble while run {a_broken_run.pk}" in caplog.text


async def test_a_run_that_cannot_be_settled_is_tried_once_a_sweep(a_run, a_runner, a_broken_run, monkeypatch, caplog):
    monkeypatch.setattr(runner, "SWEEP", 1000.0)
    await in_thread(a_run, "sleep 0.5", name="other")
    async with at_work(a_runner().run):
        await until(lambda: states() == ["running", "succeeded"])
    assert caplog.text.count(f"Trouble while run {a_broken_run.pk}") < 10


async def test_a_queued_run_whose_folder_is_gone_does_not_hold_up_the_others(
    a_run, a_runner, settings, sweeps, monkeypatch
):
    settings.MAX_CONCURRENT_RUNS = 1
    monkeypatch.setitem(globals(), "PATIENCE", 3)
    gone = await in_thread(a_run)
    (gone.folder / "log").unlink()
    gone.folder.rmdir()
    await in_thread(a_run, name="other")
    async with at_work(a_runner().run):
        await until(lambda: states()[1] == "succeeded")


async def test_a_folder_that_is_deleted_while_the_script_runs_makes_a_lost_run(
    a_run, a_runner, sweeps, settings, tmp_path
):
    """Taken for a run that never began, it was started again and again."""
    own = f"{settings.DATA_DIR}/runs/$RUNBOOK_RUN_ID"
    await in_thread(a_run, f"echo begun >> {tmp_path}/begun; rm -rf {own}; sleep 0.3")
    async with at_work(a_runner().run):
        await until(lambda: states() == ["lost"])
    assert (tmp_path / "begun").read_text() == "begun\n"


async def test_a_cancel_need_not_wait_for_slow_starts(a_run, a_runner, library, sweeps, monkeypatch):
    held = asyncio.Event()
    loop, start = asyncio.get_running_loop(), launch.start
    first = await in_thread(a_run, "sleep 60", name="first")

    def slow_start(run: Run, lock: int) -> int | None:
        if run.pk != first.pk:
            asyncio.run_coroutine_threadsafe(held.wait(), loop).result(PATIENCE)
        return start(run, lock)

    monkeypatch.setattr(launch, "start", slow_start)
    async with at_work(a_runner().run):
        await until(lambda: folder.has_started(first.folder))
        await in_thread(a_run, name="second")
        await until(lambda: states() == ["running", "running"])
        await in_thread(cancel_run, ALICE, first)
        await until(lambda: states() == ["cancelled", "running"])
        held.set()
        await until(lambda: states() == ["cancelled", "succeeded"])


async def test_working_folders_that_a_dead_server_left_are_removed(a_run, a_runner, finish, settings):
    ended, active = await in_thread(finish, await in_thread(a_run)), await in_thread(a_run, "sleep 60", name="active")
    for name in (str(ended.pk), str(active.pk), "mine", "999"):
        (settings.EXECUTION_DIR / name).mkdir(exist_ok=True)
    await in_thread(upkeep.tidy)
    assert sorted(folder.name for folder in settings.EXECUTION_DIR.iterdir()) == sorted(["mine", "999", str(active.pk)])


def a_session(*, lasts: int) -> str:
    session = SessionStore()
    session.set_expiry(lasts)
    session.create()
    return session.session_key


async def test_sessions_are_deleted_when_they_have_expired(a_runner, sweeps, monkeypatch):
    monkeypatch.setattr(runner, "TIDY", 0.05)
    live, ended = await in_thread(a_session, lasts=60), await in_thread(a_session, lasts=-60)
    async with at_work(a_runner().run):
        await until(lambda: not Session.objects.filter(pk=ended).exists())
        later = await in_thread(a_session, lasts=-60)
        await until(lambda: not Session.objects.filter(pk=later).exists())
    assert await in_thread(Session.objects.get) == Session(pk=live)


@pytest.mark.django_db
def test_not_all_expired_sessions_are_deleted_at_once(monkeypatch):
    monkeypatch.setattr(upkeep, "MOST_SESSIONS", 2)
    for _ in range(5):
        a_session(lasts=-60)
    upkeep.tidy()
    assert Session.objects.count() == 3
