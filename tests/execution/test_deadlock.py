"""Runs that would wait for each other for ever: one of each circle is ended, and nobody else."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from runbooks.execution.deadlock import PATIENCE, deadlocked
from runbooks.models import Run, State

LONG_AGO = timezone.now() - 2 * PATIENCE


@pytest.fixture
def going(db) -> Callable[..., Run]:
    """A run that goes on."""

    def going(name: str, **fields: object) -> Run:
        return Run.objects.create(
            **{"runbook": f"{name}.md", "state": State.RUNNING, "actor": "a", "timeout": 1, "source": "", **fields}
        )

    return going


@pytest.fixture
def asks(going) -> Callable[..., Run]:
    """A sub-run that waits for a place of its runbook."""

    def asks(parent: Run, name: str, **fields: object) -> Run:
        return going(
            name, **{"state": State.QUEUED, "parent": parent, "concurrency": 1, "queued_at": LONG_AGO} | fields
        )

    return asks


def ended() -> list[Run]:
    return [run for run, _ in deadlocked()]


def test_the_younger_of_two_that_wait_for_each_other_is_ended(going, asks):
    a, b = going("A"), going("B")
    first, second = asks(a, "B"), asks(b, "A")
    assert deadlocked() == [
        (
            second,
            f"it would wait for ever (concurrency): it needs the place of A #{a.pk}, which waits for B #{first.pk}, "
            f"which needs the place of B #{b.pk}, which waits for it.",
        )
    ]


def test_nobody_is_ended_who_may_begin_some_day(going, asks):
    a, b, other = going("A"), going("B"), going("B")
    asks(a, "B", concurrency=2)
    asks(b, "A")
    assert ended() == []
    other.move(State.RUNNING, runbook="C.md")
    assert ended() == []


def test_all_who_hold_a_place_must_be_stuck(going, asks):
    a, b, other = going("A"), going("B"), going("B")
    asks(a, "B", concurrency=2)
    asks(b, "A")
    last = asks(other, "A")
    assert ended() == [last]


def test_who_is_being_ended_lets_go_of_its_place(going, asks):
    a, b = going("A", cancelled_at=timezone.now()), going("B")
    asks(a, "B")
    asks(b, "A")
    assert ended() == []


def test_a_script_that_does_not_wait_has_a_moment_to_end(going, asks):
    a, b = going("A"), going("B")
    asks(a, "B")
    asks(b, "A", queued_at=timezone.now() - PATIENCE + timedelta(seconds=1))
    assert ended() == []


def test_who_waits_for_a_circle_from_outside_is_not_ended(going, asks):
    a, b, outside = going("A"), going("B"), going("D")
    asks(a, "B")
    inside = asks(b, "A")
    asks(outside, "A")
    assert ended() == [inside]


def test_the_longest_way_around(going, asks):
    runs = [going(name) for name in "ABCD"]
    below = going("E", parent=runs[0])
    waiting = [asks(run, name) for run, name in zip([below, *runs[1:]], "BCDA", strict=True)]
    [(run, reason)] = deadlocked()
    assert run == waiting[-1]
    assert reason.count("which") == 8
    assert f"A #{runs[0].pk}, which waits for E #{below.pk}, which waits for B #{waiting[0].pk}" in reason


def test_each_of_two_circles_loses_one(going, asks):
    found = []
    for one, other in ("AB", "CD"):
        a, b = going(one), going(other)
        asks(a, other)
        found.append(asks(b, one))
    assert sorted(run.pk for run in ended()) == [run.pk for run in found]


def test_a_sibling_that_goes_on_is_waited_for(going, asks):
    parent = going("P")
    going("A", parent=parent)
    asks(parent, "A")
    assert ended() == []
