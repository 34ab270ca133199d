"""Whose turn it is, and why the others wait: by one set of rules, so that both agree."""

import random
from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from runbooks.execution import queue
from runbooks.execution.deadlock import deadlocked
from runbooks.execution.queue import queued, waits_for
from runbooks.models import Run, State
from runbookweb import drain, metrics

PLACE = "There is a place for it: it begins as soon as a runner looks."


@pytest.fixture(autouse=True)
def _anew(monkeypatch):
    """No other test's line, nor one of a moment ago."""
    monkeypatch.setattr(queue, "recent", queue.Recent())
    monkeypatch.setattr(queue, "FRESH", 0.0)
    monkeypatch.setattr(queue, "PAUSE", 0)


@pytest.fixture
def a_row(db) -> Callable[..., Run]:
    """A run in the table alone."""

    def a_row(name: str = "A", state: State = State.QUEUED, **fields: object) -> Run:
        return Run.objects.create(runbook=f"{name}.md", state=state, actor="alice", timeout=1, source="", **fields)

    return a_row


def test_runs_of_one_runbook_wait_for_each_other_and_hold_up_nobody_else(a_row):
    going = a_row(state=State.RUNNING)
    first, second, other = a_row(concurrency=1), a_row(concurrency=1), a_row("B")
    assert queued() == [other]
    said = f"Only 1 run of this runbook may go on at once (its concurrency), and #{going.pk} does."
    assert waits_for(first) == f"{said} This one is the next."
    assert waits_for(second) == f"{said} 1 run waits before this one."


def test_of_runs_that_come_together_as_many_begin_as_may(a_row):
    runs = [a_row(concurrency=2) for _ in range(4)]
    assert queued() == runs[:2]
    assert waits_for(runs[3]) == (
        "Only 2 runs of this runbook may go on at once (its concurrency). 1 run waits before this one."
    )


def test_each_run_heeds_its_own_number(a_row):
    a_row(state=State.RUNNING, concurrency=1)
    runs = [a_row(concurrency=2), a_row(concurrency=3), a_row()]
    assert queued() == runs


def test_a_run_that_allows_more_does_not_overtake_one_that_waits(a_row):
    a_row(state=State.RUNNING)
    a_row(concurrency=1)
    later = a_row()
    assert queued() == []
    assert waits_for(later) == (
        "Runs of this runbook that came before wait for each other (their concurrency). 1 run waits before this one."
    )


def test_a_sub_run_overtakes_and_counts(a_row):
    parent = a_row("B", state=State.RUNNING)
    first, child = a_row(concurrency=1), a_row(concurrency=1, parent=parent)
    assert queued() == [child]
    assert child.take()
    assert not first.take()


def test_the_many_that_wait_are_named_by_some(a_row):
    going = [a_row(state=State.RUNNING).pk for _ in range(6)]
    named = ", ".join(f"#{pk}" for pk in going[:3])
    assert f"concurrency), and {named} and 3 more do." in waits_for(a_row(concurrency=5))


def test_a_full_server_and_a_run_with_many_sub_runs(a_row, settings):
    settings.MAX_CONCURRENT_RUNS = 2
    parent, _ = a_row(state=State.RUNNING), a_row(state=State.RUNNING)
    a_row()
    second, child = a_row("B"), [a_row("C", parent=parent) for _ in range(4)][-1]
    assert waits_for(second) == (
        "As many runs go on as may at once: 2 (MAX_CONCURRENT_RUNS). 1 run waits before this one."
    )
    assert waits_for(child) == (
        "As many sub-runs of the same run go on as may at once: 2 (MAX_CONCURRENT_RUNS). 1 run waits before this one."
    )


def test_only_what_is_queued_waits(a_row):
    assert waits_for(a_row()) == PLACE
    assert {waits_for(a_row(state=state)) for state in State if state != State.QUEUED} == {""}


def test_a_server_that_ends_or_whose_runner_is_silent_says_so(a_row, monkeypatch):
    run, runner = a_row(), metrics.Heartbeat()
    monkeypatch.setattr(metrics, "runner", runner)
    with runner.expected():
        assert waits_for(run) == PLACE
        runner.at -= metrics.SILENCE + 1
        assert waits_for(run).startswith("The runner of this server has not looked for runs lately")
    drain.begin()
    assert waits_for(run).startswith("This server is about to end")


def test_what_a_runner_takes_and_what_a_page_says_agree(a_row, settings, monkeypatch):
    settings.MAX_CONCURRENT_RUNS = 3
    monkeypatch.setattr(queue, "BATCH", 2)
    seed = random.randrange(10**6)
    print("seed", seed)  # pytest shows it if the test failed
    chance = random.Random(seed)
    parents = [a_row("P", state=State.RUNNING) for _ in range(2)]
    for _ in range(40):
        fields = {"concurrency": chance.choice([None, 1, 2]), "parent": chance.choice([None, None, *parents])}
        a_row(chance.choice("ABC"), state=chance.choice([State.QUEUED] * 5 + [State.RUNNING]), **fields)
    while waiting := list(Run.objects.filter(state=State.QUEUED)):
        turns = queued()
        assert {run.pk for run in turns} == {run.pk for run in waiting if waits_for(run) == PLACE}
        assert all(run.take() for run in turns)
        ended = chance.sample(turns, len(turns) // 2)
        before = Run.objects.exclude(pk__in=[run.pk for run in (*turns, *parents)])
        (before | Run.objects.filter(pk__in=[run.pk for run in ended])).filter(state=State.RUNNING).update(state="lost")


def test_five_hundred_who_ask_are_told_by_one_look(a_row, monkeypatch, django_assert_max_num_queries):
    monkeypatch.setattr(queue, "FRESH", 60.0)
    a_row(state=State.RUNNING)
    runs = [a_row(concurrency=1) for _ in range(500)]
    with django_assert_max_num_queries(3):
        said = [waits_for(run) for run in runs]
    assert said[-1].endswith(" 499 runs wait before this one.")
    assert waits_for(a_row(concurrency=1)).endswith(" 500 runs wait before this one.")


def test_however_many_runs_have_ended_none_of_them_is_looked_at(a_row):
    run = a_row(concurrency=1)
    with CaptureQueriesContext(connection) as asked:
        assert queued() == [run]
        assert waits_for(run) == PLACE
        assert (deadlocked(), run.take()) == ([], True)
    with connection.cursor() as cursor:
        steps = [
            step
            for query in asked.captured_queries
            for *_, step in cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}").fetchall()
        ]
    assert len(steps) >= len(asked) >= 8
    assert not [step for step in steps if step.startswith("SCAN")]


def test_a_runner_with_no_room_does_not_look_through_those_that_wait(a_row, settings, django_assert_num_queries):
    settings.MAX_CONCURRENT_RUNS = 1
    a_row(state=State.RUNNING)
    a_row()
    with django_assert_num_queries(2):  # for what goes on of each runbook, and for sub-runs
        assert queued() == []
