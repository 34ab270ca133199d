"""Starting a run under a key: what is asked for again is the same run, whatever has become of it."""

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
from runbooks.document.validate import InvalidValues
from runbooks.execution import control
from runbooks.execution.idempotency import KEPT
from runbooks.models import IdempotencyKey, Run, State

from .conftest import ALICE

CAROL = Actor("carol", ALICE.claims)
AT_ONCE = 6


@pytest.fixture
def start(database, library, a_runbook) -> Callable[..., Run]:
    """Start a run of restart.md under a key."""
    library.add("restart.md", a_runbook(requirements={"HOST": "{default: db-1}", "PORT": "{default: 80}"}))

    def start(key: str = "job-7", *, actor: Actor = ALICE, path: str = "restart.md", **given: object) -> Run:
        found = runbook_library.runbook_for(actor, path)
        return control.start_run(actor, found, **{"values": {"HOST": "db-2"}, "key": key, **given})

    return start


def test_the_same_key_gives_the_same_run(start):
    assert start() == start()
    assert Run.objects.count() == 1


def test_another_key_or_none_gives_another_run(start):
    assert len({start("job-7"), start("job-8"), start(""), start("")}) == 4


def test_a_key_is_its_actors_own(start):
    assert start() != start(actor=CAROL)


def test_a_script_does_not_wait_for_a_run_that_waits_for_the_place_of_the_scripts_own(start, library, a_runbook):
    library.add("parent.md", a_runbook(name="parent"))
    outside, parent = start(), start("", path="parent.md", values={})
    with pytest.raises(control.CannotRun, match=f"#{outside.pk} already, which waits for a place"):
        start(parent=parent.pk)
    outside.take()
    assert start(parent=parent.pk) == outside


def test_a_script_may_ask_again_for_its_own_sub_run(start, library, a_runbook):
    library.add("parent.md", a_runbook(name="parent"))
    parent = start("", path="parent.md", values={})
    assert start(parent=parent.pk) == start(parent=parent.pk)


def test_the_order_of_the_values_makes_no_difference(start):
    assert start(values={"HOST": "db-2", "PORT": "81"}) == start(values={"PORT": "81", "HOST": "db-2"})


@pytest.mark.parametrize(
    "other", [{"values": {"HOST": "db-3"}}, {"values": {}}, {"is_confirmed": True}, {"path": "other.md"}]
)
def test_something_else_under_the_same_key_is_refused_and_names_the_run(start, library, a_runbook, other):
    library.add("other.md", a_runbook(name="other", requirements={"HOST": "which"}))
    first = start()
    with pytest.raises(control.KeyReused, match=f"run #{first.pk} already") as reused:
        start(**other)
    assert reused.value.run == first
    assert Run.objects.count() == 1


def test_the_run_is_given_whatever_has_become_of_it(start):
    first = start()
    control.cancel_run(ALICE, first)
    assert start().state == State.CANCELLED


def test_it_is_given_although_the_runbook_could_not_run_any_more(start, library, a_runbook):
    first = start()
    library.add("restart.md", a_runbook(language="cobol", settings={"confirm": "true"}))
    assert start() == first


def test_it_is_not_given_to_who_may_not_see_it_any_more(start, library, a_runbook):
    start()
    library.add("restart.md", a_runbook(claims={"roles": ["dba"]}))
    with pytest.raises(Refused):
        start()


def test_a_start_that_failed_may_be_corrected_under_the_same_key(start, library, a_runbook):
    library.add("restart.md", a_runbook(requirements="HOST: {pattern: '[a-z]+'}", settings={"confirm": "true"}))
    with pytest.raises(control.NotConfirmed):
        start()
    with pytest.raises(InvalidValues):
        start(is_confirmed=True)
    assert not IdempotencyKey.objects.exists()
    assert start(is_confirmed=True, values={"HOST": "db"}).state == State.QUEUED


def test_neither_run_nor_key_is_there_without_the_other(start, settings):
    settings.DATA_DIR.write_text("a file is in the way")
    with pytest.raises(control.NoRoom):
        start()
    assert (Run.objects.count(), IdempotencyKey.objects.count()) == (0, 0)


def test_after_a_day_the_key_starts_another_run_and_old_keys_go(start):
    first = start()
    start("job-8")
    IdempotencyKey.objects.update(created_at=timezone.now() - KEPT)
    assert start() != first
    assert [kept.key for kept in IdempotencyKey.objects.all()] == ["job-7"]


def test_until_then_it_does_not(start):
    first = start()
    IdempotencyKey.objects.update(created_at=timezone.now() - KEPT + timedelta(minutes=1))
    assert start() == first


@pytest.mark.parametrize("key", ["x" * 256, "job\n7", "jöb", "\x7f", "\ud800", "job\x00"])
def test_what_cannot_be_a_key_is_refused(start, key):
    with pytest.raises(control.BadKey, match="1 to 255 printable ASCII characters"):
        start(key)
    assert not Run.objects.exists()


@pytest.mark.parametrize("key", ["x" * 255, "~", '"8e03978e-40d5-43dd-bc93-6894a57f9324"', "a b"])
def test_other_keys_are_taken_as_they_are(start, key):
    assert start(key) == start(key)


def test_what_is_kept_of_the_values_depends_on_the_servers_secret(start, settings):
    """Or whoever reads the table could try out which password gives this fingerprint."""
    start("job-7")
    settings.SECRET_KEY = "another"
    start("job-8")
    assert len({kept.fingerprint for kept in IdempotencyKey.objects.all()}) == 2


def at_once(start: Callable[..., Run], wishes: list[dict[str, object]]) -> list[Run | Exception]:
    """What came of starts in as many threads, each with a connection of its own."""

    def one(wish: dict[str, object]) -> Run | Exception:
        try:
            return start(**wish)
        except control.KeyReused as problem:
            return problem
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(wishes)) as pool:
        return list(pool.map(one, wishes))


@pytest.fixture
def meet(monkeypatch) -> None:
    """Make all starts wait for each other when they have found that there is no earlier run."""
    barrier, check = threading.Barrier(AT_ONCE), control.checked_values

    def wait_and_check(*args: object, **options: object) -> object:
        barrier.wait(10)
        return check(*args, **options)

    monkeypatch.setattr(control, "checked_values", wait_and_check)


def test_of_many_at_the_very_same_moment_one_starts_a_run(start, meet, settings):
    assert len(set(at_once(start, [{}] * AT_ONCE))) == 1
    run = Run.objects.get()
    assert [folder.name for folder in (settings.DATA_DIR / "runs").iterdir()] == [str(run.pk)]


def test_and_those_who_ask_for_something_else_are_refused(start, meet):
    answers = at_once(start, [{"values": {"HOST": f"db-{number}"}} for number in range(AT_ONCE)])
    run = Run.objects.get()
    assert [answer for answer in answers if isinstance(answer, Run)] == [run]
    assert {answer.run for answer in answers if isinstance(answer, control.KeyReused)} == {run}
