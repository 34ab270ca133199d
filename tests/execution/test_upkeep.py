"""What a prune removes of past runs, and what it leaves alone."""

import os
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from runbooks.execution import folder, retention, upkeep
from runbooks.models import IdempotencyKey, Run, State

pytestmark = pytest.mark.django_db
KILOBYTES = 64
HOUR = 3600


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch):
    monkeypatch.setattr(retention, "PAUSE", 0)
    monkeypatch.setattr(retention, "LAST_LOOK", 0)


def a_run(*, days: float = 0, kilobytes: int = KILOBYTES, state: State = State.SUCCEEDED, **fields: object) -> Run:
    """A run that ended so long ago and has left so much."""
    ended_at = timezone.now() - timedelta(days=days) if state not in ("queued", "running") else None
    run = Run.objects.create(runbook="a.md", actor="alice", timeout=1, state=state, ended_at=ended_at, **fields)
    folder.prepare(run.folder)
    run.log.write_bytes(b"x" * 1024 * kilobytes)
    return run


def left() -> list[int]:
    """The runs that there are, each with its folder."""
    with_rows = sorted(Run.objects.values_list("pk", flat=True))
    assert sorted(int(path.name) for path in Run(pk=1).folder.parent.iterdir()) == with_rows
    return with_rows


def test_runs_go_when_they_have_ended_so_long_ago():
    _, new = a_run(days=8), a_run(days=6)
    pruned = retention.prune(days=7, most_bytes=0)
    assert (pruned.runs, pruned.bytes, pruned.strays) == (1, 1024 * KILOBYTES, 0)
    assert left() == [new.pk]


def test_then_the_oldest_go_until_the_rest_is_small_enough():
    runs = [a_run(days=days) for days in (5, 9, 4, 3)]
    (runs[0].folder / "outputs/deep").mkdir(parents=True)
    (runs[0].folder / "outputs/deep/report").write_bytes(b"x" * 1024 * KILOBYTES)
    pruned = retention.prune(days=8, most_bytes=2 * 1024 * KILOBYTES + 8192)
    assert left() == [runs[2].pk, runs[3].pk]
    assert pruned.runs == 2
    assert pruned.bytes >= 3 * 1024 * KILOBYTES


def test_without_a_bound_every_run_stays():
    run = a_run(days=10_000)
    assert retention.prune(days=0, most_bytes=0) == retention.Pruned(0, 0, 0)
    assert left() == [run.pk]


def test_pinned_runs_stay_and_count():
    pinned, _ = a_run(days=9, is_pinned=True), a_run(days=1)
    retention.prune(days=7, most_bytes=1024 * KILOBYTES)
    assert left() == [pinned.pk]


def test_one_that_is_pinned_while_a_prune_goes_on_stays(monkeypatch):
    run, delete = a_run(days=9), retention._delete

    def pin_first(batch: list[int]) -> list[Run]:
        Run.objects.filter(pk__in=batch).update(is_pinned=True)
        return delete(batch)

    monkeypatch.setattr(retention, "_delete", pin_first)
    assert retention.prune(days=7, most_bytes=0).runs == 0
    assert left() == [run.pk]


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING])
def test_active_runs_and_those_above_them_stay(state):
    top = a_run(days=9)
    between = a_run(days=9, parent=top)
    active = a_run(state=state, parent=between)
    beside = a_run(days=9, parent=top)
    for most_bytes in (0, 1):
        retention.prune(days=7, most_bytes=most_bytes)
        assert left() == [top.pk, between.pk, active.pk]
    assert not Run.objects.filter(pk=beside.pk).exists()


def test_a_sub_run_outlives_its_parent():
    parent = a_run(days=9)
    child = a_run(days=1, parent=parent)
    retention.prune(days=7, most_bytes=0)
    assert left() == [child.pk]
    assert Run.objects.get().parent is None


def test_a_run_whose_supervisor_still_lives_stays():
    run = a_run(days=9)
    lock = folder.lock(run.folder)
    retention.prune(days=7, most_bytes=0)
    assert left() == [run.pk]
    os.close(lock)
    assert retention.prune(days=7, most_bytes=0).runs == 1


def test_a_run_stays_as_long_as_its_key_could_start_another():
    run = a_run(days=9)
    key = IdempotencyKey.objects.create(actor="alice", key="k", fingerprint="f", run=run)
    assert retention.prune(days=7, most_bytes=1).runs == 0
    IdempotencyKey.objects.filter(pk=key.pk).update(created_at=timezone.now() - timedelta(hours=25))
    assert retention.prune(days=7, most_bytes=0).runs == 1


def test_refused_runs_go_by_age_as_well():
    Run.objects.create(
        runbook="a.md", actor="eve", timeout=0, state=State.REFUSED, ended_at=timezone.now() - timedelta(days=9)
    )
    assert retention.prune(days=7, most_bytes=0).runs == 1
    assert not Run.objects.exists()


def test_a_rehearsal_says_the_same_and_removes_nothing():
    runs = [a_run(days=9), a_run(days=8), a_run(days=1)]
    stray(f"{runs[0].pk}.before-1")
    said = retention.prune(days=7, most_bytes=0, is_rehearsal=True)
    assert Run.objects.count() == 3
    assert retention.prune(days=7, most_bytes=0) == said
    assert (said.runs, said.strays) == (2, 1)


def stray(name: str, *, age: float = 2 * HOUR) -> Path:
    """A folder among those of runs."""
    path = Run(pk=1).folder.parent / name
    path.mkdir(parents=True)
    (path / "log").write_text("x")
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_folders_without_a_run_go_if_they_are_surely_ours():
    gone, young, other = (a_run().pk for _ in range(3))
    Run.objects.filter(pk__in=(gone, young)).delete()
    for pk, age in ((gone, 2 * HOUR), (young, 60)):
        os.utime(Run(pk=pk).folder, (time.time() - age,) * 2)
    newly = f"{other}.before-{time.time_ns()}"
    for name in (f"{other}.before-1700000000000000000", newly, "mine", f"0{gone}", str(other + 7), "7.before-x"):
        stray(name)
    assert retention.prune(days=0, most_bytes=0).strays == 2
    kept = {path.name for path in Run(pk=1).folder.parent.iterdir()}
    assert kept == {str(young), str(other), newly, "mine", f"0{gone}", str(other + 7), "7.before-x"}


def test_the_folders_of_a_database_that_was_lost_stay():
    stray("7")
    assert retention.prune(days=1, most_bytes=1).strays == 0
    assert Run(pk=7).folder.exists()


def test_what_a_script_has_closed_goes_as_well():
    run = a_run(days=9)
    closed = run.folder / "outputs/closed"
    (closed / "deep").mkdir(parents=True)
    (closed / "link").symlink_to("/etc")
    closed.chmod(0)
    retention.prune(days=7, most_bytes=0)
    assert left() == []
    assert Path("/etc").exists()


def test_two_prunes_do_not_go_on_at_once():
    run = a_run(days=9)
    for other in (retention.alone, retention.kept):
        with other(), pytest.raises(retention.Busy, match="try again"):
            retention.prune(days=7, most_bytes=0)
    assert left() == [run.pk]


def test_many_runs_go_in_batches(monkeypatch):
    sizes, delete = [], retention._delete
    monkeypatch.setattr(retention, "BATCH", 3)
    monkeypatch.setattr(retention, "_delete", lambda batch: sizes.append(len(batch)) or delete(batch))
    for _ in range(8):
        a_run(days=9, kilobytes=1)
    assert retention.prune(days=7, most_bytes=0).runs == 8
    assert (sizes, left()) == ([3, 3, 2], [])


@pytest.mark.parametrize("bound", ["RUN_RETENTION_DAYS", "RUN_RETENTION_BYTES"])
def test_the_runner_prunes_once_a_day(database, settings, monkeypatch, bound):
    monkeypatch.setattr(upkeep, "daily", upkeep.Daily())
    old = a_run(days=9)
    upkeep.tidy()
    assert left() == [old.pk]
    setattr(settings, bound, 1)
    upkeep.tidy()
    for thread in threading.enumerate():
        if thread.name == "prune":
            thread.join()
    assert left() == []
    later = a_run(days=9)
    upkeep.tidy()
    assert left() == [later.pk]
    upkeep.daily.due = 0.0
    upkeep.daily.begin_if_due().join()
    assert left() == []


def test_a_daily_prune_that_finds_a_backup_comes_again_soon(database, settings):
    settings.RUN_RETENTION_DAYS = 1
    a_run(days=9)
    daily = upkeep.Daily()
    with retention.kept():
        daily.begin_if_due().join()
    assert Run.objects.exists()
    daily.begin_if_due().join()
    assert not Run.objects.exists()
