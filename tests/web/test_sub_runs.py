"""A run's page among its relatives: the run that began it, and those that it has begun."""

import re

import pytest

from runbooks.access.actor import Actor
from runbooks.web import state_fragments

ALICE = Actor("alice", {"roles": ("sre",)})
SUB_RUN = re.compile(r'id="sub-run-(\d+)"')


@pytest.fixture(autouse=True)
def _runbooks(library, a_runbook):
    library.add("parent.md", a_runbook(name="parent"))
    library.add("ops/child.md", a_runbook(name="child"))
    library.add("guarded.md", a_runbook(name="guarded", claims={"roles": ["dba"]}))


@pytest.fixture
def parent(a_run):
    return a_run("parent.md", state="running")


def page_of(client, run) -> str:
    return client.get(run.get_absolute_url()).content.decode()


def test_a_run_shows_what_it_has_begun_in_order_and_how_it_stands(alice_client, a_run, parent):
    first = a_run("ops/child.md", parent=parent, state="failed")
    second = a_run("ops/child.md", parent=parent, state="running")
    page = page_of(alice_client, parent)
    assert [int(found) for found in SUB_RUN.findall(page)] == [first.pk, second.pk]
    assert f'<a href="/runs/{first.pk}/">child #{first.pk}</a>' in page
    assert "badge--failed" in page


def test_a_sub_run_shows_who_began_it(alice_client, a_run, parent):
    page = page_of(alice_client, a_run("ops/child.md", parent=parent))
    assert f'<a href="/runs/{parent.pk}/">parent #{parent.pk}</a>' in page
    assert "Sub-runs" not in page


def test_what_one_may_not_see_is_not_there(alice_client, a_run, parent):
    hidden = a_run("guarded.md", parent=parent, actor="dora")
    assert f"/runs/{hidden.pk}/" not in page_of(alice_client, parent)
    around = a_run("guarded.md", actor="dora")
    assert f"/runs/{around.pk}/" not in page_of(alice_client, a_run("ops/child.md", parent=around))


def test_of_very_many_the_newest_are_shown(alice_client, a_run, parent):
    runs = [a_run("ops/child.md", parent=parent, state="succeeded") for _ in range(23)]
    page = page_of(alice_client, parent)
    assert [int(found) for found in SUB_RUN.findall(page)] == [run.pk for run in runs[3:]]
    assert "and 3 before these" in page


def test_a_run_without_relatives_says_nothing_of_them(alice_client, parent):
    page = page_of(alice_client, parent)
    assert "Sub-runs" not in page
    assert "Started by" not in page


def test_the_live_page_hears_of_a_sub_run_and_of_each_of_its_moves(a_run, parent):
    heard = [state_fragments.sub_run_states(parent)]
    child = a_run("ops/child.md", parent=parent)
    for state in ("running", "succeeded"):
        heard.append(state_fragments.sub_run_states(parent))
        type(child).objects.filter(pk=child.pk).update(state=state)
    heard.append(state_fragments.sub_run_states(parent))
    assert heard == [{}, {"queued": 1}, {"running": 1}, {"succeeded": 1}]
    assert f"/runs/{child.pk}/" in state_fragments.state_html(ALICE, parent)
