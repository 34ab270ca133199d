"""Runs within runs: no loop, no abyss, no orphan that nobody can end, and a parent that is told what was refused."""

from collections.abc import Callable, Sequence

import pytest

from runbooks import library as runbook_library
from runbooks.access.actor import Actor
from runbooks.access.rules import Refused
from runbooks.execution import ancestry, folder
from runbooks.execution.control import CannotRun, Recursion, cancel_run, start_run
from runbooks.models import Run, State

from .conftest import ALICE
from .supervising import until

BOB = Actor("bob", {"roles": ("guest",)})


@pytest.fixture
def within(a_run, library, a_runbook) -> Callable[..., Run]:
    """Start a run of a runbook whose script prints its name, as the script of another run does."""

    def within(parent: Run | None, name: str, *, stack: Sequence[str] = (), actor: Actor = ALICE, **runbook) -> Run:
        library.add(f"{name}.md", a_runbook(name=name.rpartition("/")[2], **{"script": f"echo {name}", **runbook}))
        found = runbook_library.runbook_for(actor, f"{name}.md")
        return start_run(actor, found, values={}, parent=parent and parent.pk, stack=stack)

    return within


def state(run: Run) -> str:
    return Run.objects.get(pk=run.pk).state


def printed(run: Run) -> str:
    return run.log.read_text()


def test_a_sub_run_knows_its_parent_and_what_is_around_it(within):
    a = within(None, "A")
    c = within(within(a, "ops/B"), "C")
    assert c.parent.parent == a
    assert ancestry.stack_of(c) == ["A.md", "ops/B.md", "C.md"]


def test_a_loop_is_refused_and_shown(within):
    b = within(within(None, "A"), "ops/B")
    with pytest.raises(Recursion, match=r"^A runbook cannot run within itself: A.md → ops/B.md → A.md\.$"):
        within(b, "A")
    assert Run.objects.count() == 2


def test_a_runbook_cannot_run_itself(within):
    with pytest.raises(Recursion, match=r"A.md → A.md"):
        within(within(None, "A"), "A")


def test_a_runbook_may_run_another_twice(within):
    a = within(None, "A")
    assert [within(a, "B").parent, within(a, "B").parent] == [a, a]


@pytest.mark.parametrize("named", ["A", "A.md"])
def test_what_the_client_says_is_around_it_counts_as_well(within, named):
    with pytest.raises(Recursion, match=f"{named} → B → A.md"):
        within(None, "A", stack=[named, "B"])


def test_what_the_client_says_cannot_hide_a_loop(within):
    b = within(within(None, "A"), "B")
    with pytest.raises(Recursion, match=r"A.md → B.md → A.md"):
        within(b, "A", stack=["B.md"])


def test_there_is_a_deepest_run(within, settings):
    settings.MAX_RECURSION_DEPTH = 2
    c = within(within(within(None, "A"), "B"), "C")
    with pytest.raises(Recursion, match=r"More than 2 runbooks .*: A.md → B.md → C.md\.$"):
        within(c, "D")
    with pytest.raises(Recursion, match=r"More than 2 runbooks .*: A → B → C\.$"):
        within(None, "D", stack=["A", "B", "C"])


def test_a_depth_of_nought_forbids_sub_runs(within, settings):
    settings.MAX_RECURSION_DEPTH = 0
    with pytest.raises(Recursion, match="More than 0 runbooks"):
        within(within(None, "A"), "B")


def test_a_long_chain_is_shown_by_its_ends(within):
    with pytest.raises(Recursion) as refused:
        within(None, "A", stack=["A", *(f"R{number}" for number in range(40))])
    assert str(refused.value).count("→") == 20
    assert "R8 → … → R31" in str(refused.value)


def test_the_log_of_the_parent_says_what_was_refused(within, begin):
    a = within(None, "A", script="sleep 60")
    begin(a)
    until(lambda: folder.has_started(a.folder))
    with pytest.raises(Recursion):
        within(a, "A")
    with pytest.raises(Refused):
        within(a, "B", actor=BOB, claims={"roles": ["sre"]})
    until(lambda: "have: guest" in printed(a))
    assert " stderr F [runbook] refused: A.md: A runbook cannot run within itself: A.md → A.md.\n" in printed(a)
    assert " stderr F [runbook] refused: B.md: You need one of these roles: sre. You have: guest.\n" in printed(a)
    assert Run.objects.get(state=State.REFUSED).parent == a


def test_who_has_ended_or_is_being_ended_starts_nothing(within, finish):
    a, b = within(None, "A"), within(None, "B")
    finish(a)
    with pytest.raises(CannotRun, match=r"^The run whose script asks has ended"):
        within(a, "C")
    b.take()
    cancel_run(ALICE, b)
    with pytest.raises(CannotRun, match=r"^The run whose script asks is being cancelled"):
        within(b, "C")
    assert Run.objects.count() == 2


def test_a_parent_that_is_gone_is_like_one_that_has_ended(within):
    with pytest.raises(CannotRun, match="has ended"):
        within(Run(pk=999), "C")


def test_cancelling_a_run_cancels_all_below_it(within, finish):
    a = within(None, "A")
    a.take()
    waiting = within(a, "B")
    going = within(a, "C")
    going.take()
    ended = within(a, "D", script="true")
    ended.take()
    deep = within(ended, "E")
    Run.objects.filter(pk=ended.pk).update(state=State.SUCCEEDED)
    other = within(None, "F")
    cancel_run(BOB, a)
    assert [state(run) for run in (waiting, deep, ended, other)] == ["cancelled", "cancelled", "succeeded", "queued"]
    asked = Run.objects.exclude(cancelled_at=None)
    assert {run.pk for run in asked} == {a.pk, waiting.pk, going.pk, deep.pk}
    assert {run.cancelled_by for run in asked} == {"bob"}


def test_cancelling_again_ends_what_the_first_time_has_missed(within):
    a = within(None, "A")
    a.take()
    b = within(a, "B")
    Run.objects.filter(pk=a.pk).update(cancelled_at=a.queued_at, cancelled_by="alice")
    cancel_run(BOB, a)
    assert (state(b), Run.objects.get(pk=a.pk).cancelled_by) == ("cancelled", "alice")


def test_cancelling_what_has_ended_leaves_what_it_began(within):
    a = within(None, "A")
    a.take()
    b = within(a, "B")
    Run.objects.filter(pk=a.pk).update(state=State.SUCCEEDED)
    cancel_run(ALICE, a)
    assert state(b) == "queued"


def test_cancelling_a_sub_run_leaves_its_parent(within):
    a = within(None, "A")
    a.take()
    cancel_run(ALICE, within(a, "B"))
    assert Run.objects.get(pk=a.pk).cancelled_at is None


def test_a_note_to_who_has_ended_is_lost_and_harms_nobody(within, finish):
    a = finish(within(None, "A"))
    folder.note(a, "too late")
    assert "too late" not in printed(a)
