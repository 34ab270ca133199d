"""A queued run's page: why it waits, kept live for many at a low cost."""

import pytest

from runbooks.access.actor import Actor
from runbooks.execution import queue
from runbooks.models import State
from runbooks.templatetags.show import runs_linked
from runbooks.web import state_fragments

ALICE = Actor("alice", {"roles": ("sre",)})


@pytest.fixture(autouse=True)
def _anew(monkeypatch, library, a_runbook):
    library.add("restart.md", a_runbook())
    monkeypatch.setattr(queue, "recent", queue.Recent())


def test_the_page_and_the_list_of_runs_say_why_it_waits(alice_client, a_run):
    going, waiting = a_run(state=State.RUNNING), a_run(concurrency=1)
    page = alice_client.get(waiting.get_absolute_url()).content.decode()
    assert f'its concurrency), and <a href="/runs/{going.pk}/">#{going.pk}</a> does. This one is the next.</p>' in page
    [told, of_going] = alice_client.get("/api/runs").json()["runs"]
    assert told["waiting_for"].endswith(f"and #{going.pk} does. This one is the next.")
    assert of_going["waiting_for"] is None
    assert "run-waiting" not in alice_client.get(going.get_absolute_url()).content.decode()


def test_five_hundred_open_pages_ask_the_database_no_more_than_one(a_run, monkeypatch, django_assert_max_num_queries):
    monkeypatch.setattr(queue, "FRESH", 60.0)
    a_run(state=State.RUNNING)
    waiting = [a_run(concurrency=1) for _ in range(500)]
    with django_assert_max_num_queries(3):
        said = [state_fragments.news(run) for run in waiting]
        html = [state_fragments.waiting_html(sentence) for _, sentence in said]
    assert len(set(html)) == 500
    assert "499 runs wait before this one." in html[-1]


def test_news_of_a_run_that_begins_are_more_than_a_sentence(a_run):
    run = a_run()
    stands, sentence = state_fragments.news(run)
    assert sentence
    run.take()
    now, sentence = state_fragments.news(run)
    assert (now != stands, sentence) == (True, "")
    assert "run-waiting" not in state_fragments.state_html(ALICE, run)


def test_numbers_of_runs_are_links_and_nothing_else_is():
    assert runs_linked("#7 <b>'s") == '<a href="/runs/7/">#7</a> &lt;b&gt;&#x27;s'
