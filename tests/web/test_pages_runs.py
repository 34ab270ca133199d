"""The history of runs and the page of one."""

import pytest
from django.template.loader import render_to_string
from django.utils import timezone

from runbooks.models import Run, State
from runbooks.web import run_list


def text_of(answer) -> str:
    return answer.content.decode()


@pytest.fixture(autouse=True)
def _a_runbook_for_sre(library, a_runbook):
    library.add("restart.md", a_runbook(claims={"roles": ["sre"]}))


def test_runs_are_listed_newest_first(alice_client, a_run):
    first, second = a_run(state="succeeded"), a_run(state="failed")
    page = text_of(alice_client.get("/runs/"))
    assert page.index(f"#{second.pk}<") < page.index(f"#{first.pk}<")
    assert "succeeded" in page


def test_the_list_has_only_what_one_may_see(bob_client, a_run):
    run = a_run()
    own = a_run("gone.md", actor="bob")
    page = text_of(bob_client.get("/runs/"))
    assert f"/runs/{own.pk}/" in page
    assert f"/runs/{run.pk}/" not in page


def test_the_list_is_filtered_by_runbook_and_state(alice_client, library, a_runbook, a_run):
    library.add("other.md", a_runbook())
    wanted = a_run(state="failed")
    others = [a_run(state="succeeded"), a_run("other.md", state="failed")]
    page = text_of(alice_client.get("/runs/", {"runbook": "restart.md", "state": "failed"}))
    assert f"/runs/{wanted.pk}/" in page
    assert not any(f"/runs/{run.pk}/" in page for run in others)


def test_pages_go_on_where_the_last_one_ended(alice_client, a_run, monkeypatch):
    monkeypatch.setattr(run_list, "PAGE", 2)
    runs = [a_run(state="succeeded") for _ in range(3)]
    page = text_of(alice_client.get("/runs/"))
    assert f"before={runs[1].pk}" in page
    older = text_of(alice_client.get("/runs/", {"before": runs[1].pk}))
    assert f"/runs/{runs[0].pk}/" in older
    assert f"/runs/{runs[1].pk}/" not in older
    assert "Older" not in older


@pytest.mark.parametrize(
    "query",
    ["before=abc", "before=-1", "before=" + "9" * 5000, "state=bogus", "runbook=%00", "since=soon", "until=0001-01-01"],
)
def test_a_filter_that_cannot_be_read_is_said_to_be(alice_client, query):
    answer = alice_client.get(f"/runs/?{query}")
    assert answer.status_code == 400
    assert "The filter cannot be read" in text_of(answer)


def test_a_run_shows_what_was_asked_and_how_it_ended(alice_client, a_run):
    now = timezone.now()
    run = a_run(
        state="failed", return_code=3, started_at=now, ended_at=now, killed=2, values={"items": "x", "API_TOKEN": "***"}
    )
    page = text_of(alice_client.get(f"/runs/{run.pk}/"))
    assert f'<a href="/runbooks/restart.md/">restart</a> <span class="run-head__number">#{run.pk}</span>' in page
    assert 'role="status">failed</span>' in page
    assert "<dt>Exit code</dt><dd>3</dd>" in page
    assert "<dt>Processes killed</dt><dd>2</dd>" in page
    assert '<code>items</code></th><td class="table__text"><div class="typed">x</div></td>' in page
    assert "***" in page
    assert "Run again" in page
    assert ">Cancel</button>" not in page


def test_a_run_that_goes_on_can_be_cancelled_and_counts(alice_client, a_run):
    run = a_run(state="running", started_at=timezone.now())
    page = text_of(alice_client.get(f"/runs/{run.pk}/"))
    assert 'data-active="true"' in page
    assert "data-elapsed-seconds=" in page
    assert f'action="/runs/{run.pk}/cancellation/"' in page
    assert f'<noscript><a class="button" href="/runs/{run.pk}/">Refresh</a></noscript>' in page
    assert "Run again" not in page


@pytest.mark.parametrize("state", State)
def test_the_state_needs_nothing_but_the_run(a_run, state):
    run = a_run(state=state, started_at=timezone.now(), warnings=["The file is read-only."])
    html = render_to_string("runs/_state.html", {"run": run}).strip()
    assert html.startswith('<div id="run-state"')
    assert f'role="status">{run.get_state_display().lower()}</span>' in html
    assert "The file is read-only." in html


def test_lost_is_explained(a_run):
    assert "Nobody knows how it ended" in render_to_string("runs/_state.html", {"run": a_run(state="lost")})


def test_what_a_run_says_is_escaped(alice_client, a_run):
    evil = "<script>alert(1)</script>"
    run = a_run(state="failed", actor=evil, values={"HOST": evil}, source=evil, warnings=[evil])
    assert evil not in text_of(alice_client.get(f"/runs/{run.pk}/"))


@pytest.mark.parametrize("pk", [404, 10**30])
def test_a_run_that_is_not_there_is_not_found(alice_client, pk):
    assert alice_client.get(f"/runs/{pk}/").status_code == 404
    assert alice_client.post(f"/runs/{pk}/cancellation/").status_code == 404


def test_a_run_that_one_may_not_see_is_not_found(bob_client, a_run):
    run = a_run()
    assert bob_client.get(f"/runs/{run.pk}/").status_code == 404
    assert bob_client.post(f"/runs/{run.pk}/cancellation/").status_code == 404
    run.refresh_from_db()
    assert run.state == State.QUEUED


def test_cancel_ends_a_queued_run_and_leads_back(alice_client, a_run):
    run = a_run()
    for _ in range(2):
        assert alice_client.post(f"/runs/{run.pk}/cancellation/").url == f"/runs/{run.pk}/"
    run.refresh_from_db()
    assert (run.state, run.cancelled_by) == (State.CANCELLED, "alice")


@pytest.mark.parametrize("page", ["/runs/", "/runs/1/"])
def test_pages_are_for_reading(alice_client, a_run, page):
    a_run()
    assert alice_client.post(page).status_code == 405
    assert alice_client.get("/runs/1/cancellation/").status_code == 405
    assert Run.objects.count() == 1
