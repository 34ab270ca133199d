"""The list of runs: its filters, what goes on above it, the search in the output, and how fast that is."""

import itertools
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.http import QueryDict
from django.utils import timezone

from runbooks import library
from runbooks.access.actor import Actor
from runbooks.execution import folder
from runbooks.models import Run
from runbooks.output import search as log_search
from runbooks.web import active_runs, output_search
from runbooks.web.run_filter import RunFilter

ALICE = Actor("alice", {"roles": ("sre",)})
FRAGMENT = {"HX-Request": "true", "HX-Target": "section#found"}
# Each filter, as an address says it.
FILTERS = (
    "runbook=restart.md",
    "state=failed",
    "state=failed&state=lost",
    "person=ali",
    "mine=true",
    "period=today",
    "since=2026-01-01",
    "until=2026-01-31",
    "before=100",
)


@pytest.fixture(autouse=True)
def _a_runbook_for_sre(library, a_runbook):
    library.add("restart.md", a_runbook(claims={"roles": ["sre"]}))


@pytest.fixture
def printed(a_run):
    """A run that has ended, and what it has printed."""

    def create(*lines: str, **fields: object) -> Run:
        run = a_run(**{"state": "succeeded", "started_at": timezone.now(), "ended_at": timezone.now()} | fields)
        folder.prepare(run.folder)
        run.log.write_text("".join(f"2026-11-22T16:23:59.123456Z stdout F {line}\n" for line in lines))
        return run

    return create


def listed(client, query: str) -> list[int]:
    """The numbers of the runs in the list, in its order."""
    page = client.get(f"/runs/?{query}").content.decode()
    return [int(number) for number in re.findall(r'id="run-(\d+)"', page)]


def found(client, query: str) -> str:
    return client.get(f"/runs/?{query}").content.decode()


def plan(query: str) -> str:
    wanted = RunFilter(QueryDict(query))
    assert wanted.is_valid()
    runs = wanted.runs(library.visible_runs(ALICE), actor=ALICE)
    return runs.order_by("-pk").values_list("pk", flat=True)[:51].explain()


@pytest.mark.django_db
@pytest.mark.parametrize("query", ["", *FILTERS, *("&".join(pair) for pair in itertools.combinations(FILTERS, 2))])
def test_no_filter_looks_into_the_rows_or_sorts_them(query):
    assert "COVERING INDEX listed" in plan(query)
    assert "TEMP B-TREE FOR ORDER BY" not in plan(query)


@pytest.mark.django_db
def test_the_plan_is_the_same_with_a_thousand_runbooks(library, a_runbook):
    for number in range(1000):
        library.add(f"{number}.md", a_runbook(name=str(number)))
    assert "COVERING INDEX listed" in plan("state=failed")


def test_several_states_may_be_wanted(alice_client, a_run):
    failed, lost, _ = a_run(state="failed"), a_run(state="lost"), a_run(state="succeeded")
    assert listed(alice_client, "state=failed&state=lost") == [lost.pk, failed.pk]


def test_what_needs_attention_has_a_shortcut_that_says_whether_it_is_on(alice_client, a_run):
    a_run(state="failed")
    off, on = found(alice_client, ""), found(alice_client, "state=failed&state=timed_out&state=lost")
    link = r'id="only-needs-attention" href="([^"]*)"( aria-current="true")?'
    assert re.search(link, off).groups() == ("/runs/?state=failed&amp;state=timed_out&amp;state=lost", None)
    assert re.search(link, on).groups() == ("/runs/", ' aria-current="true"')


def test_a_person_is_found_by_a_part_of_the_name_and_mine_are_mine_alone(alice_client, a_run):
    own, other = a_run(actor="alice"), a_run(actor="alice.b@example.org")
    assert listed(alice_client, "person=ALICE") == [other.pk, own.pk]
    assert listed(alice_client, "mine=true") == [own.pk]


def test_days_are_days_of_the_viewers_time_zone(alice_client, a_run):
    evening = a_run(queued_at=datetime(2026, 10, 5, 23, 30, tzinfo=UTC))
    alice_client.cookies["runbookweb_zone"] = "Europe/Berlin"  # where it was half past one on the 6th
    assert listed(alice_client, "since=2026-10-06&until=2026-10-06") == [evening.pk]
    assert listed(alice_client, "until=2026-10-05") == []


def test_today_and_the_last_days_have_shortcuts(alice_client, a_run):
    today, recent, _ = (a_run(queued_at=timezone.now() - timedelta(days=days)) for days in (0, 3, 30))
    assert listed(alice_client, "period=today") == [today.pk]
    assert listed(alice_client, "period=week") == [recent.pk, today.pk]


def test_each_thing_that_the_list_is_narrowed_to_can_be_taken_away(alice_client, a_run):
    a_run()
    page = found(alice_client, "runbook=restart.md&person=ali&before=100")
    assert 'href="/runs/?person=ali" hx-get="/runs/?person=ali"' in page
    assert 'href="/runs/?runbook=restart.md" hx-get="/runs/?runbook=restart.md"' in page


def test_older_runs_are_listed_with_the_same_filter(alice_client, a_run):
    runs = [a_run(state="failed") for _ in range(51)]
    page = found(alice_client, "state=failed")
    assert f'href="/runs/?state=failed&amp;before={runs[1].pk}">Older</a>' in page
    assert 'href="/runs/?state=failed">Newest</a>' in found(alice_client, f"state=failed&before={runs[1].pk}")


def test_htmx_is_given_the_list_alone_and_an_address_without_empty_fields(alice_client, a_run):
    run = a_run()
    answer = alice_client.get("/runs/?text=&runbook=restart.md&person=", headers=FRAGMENT)
    assert answer.headers["HX-Replace-Url"] == "/runs/?runbook=restart.md"
    assert answer.content.startswith(b'<section class="found" id="found"')
    assert f"/runs/{run.pk}/" in answer.content.decode()
    assert "1 run found." in answer.content.decode()


def test_a_page_that_is_gone_back_to_is_a_whole_one(alice_client):
    answer = alice_client.get("/runs/", headers=FRAGMENT | {"HX-History-Restore-Request": "true"})
    assert b"<!doctype html>" in answer.content


def test_an_empty_list_says_what_to_do(alice_client):
    assert "Nothing has been run yet" in found(alice_client, "")
    assert "No run is like that" in found(alice_client, "state=failed")


def test_what_goes_on_stands_above_with_its_usual_time_and_why_it_waits(alice_client, a_run):
    now = timezone.now()
    for _ in range(3):
        a_run(state="succeeded", started_at=now - timedelta(seconds=40), ended_at=now)
    a_run(state="running", started_at=now - timedelta(seconds=10))
    waits = a_run()
    block = alice_client.get("/runs/active/").content.decode()
    assert 'max="40.0"' in block
    assert "usually 40 s" in block
    assert "There is a place for it" in block.partition(f'id="active-{waits.pk}"')[2]


def test_what_goes_on_is_measured_by_runs_that_one_may_see(alice_client, library, a_run):
    now = timezone.now()
    for _ in range(3):
        a_run("gone.md", state="succeeded", started_at=now - timedelta(seconds=40), ended_at=now, actor="zoe")
    a_run("gone.md", state="running", started_at=now - timedelta(seconds=10), actor="alice")
    block = alice_client.get("/runs/active/").content.decode()
    assert "10 s" in block
    assert "usually" not in block


def test_a_run_that_waits_says_for_how_long(alice_client, a_run):
    waits = a_run(queued_at=timezone.now() - timedelta(minutes=5))
    card = alice_client.get("/runs/active/").content.decode().partition(f'id="active-{waits.pk}"')[2]
    assert re.search(r'waiting for <time [^>]*data-elapsed-seconds="30\d\.\d">5 min', card)


def test_the_block_is_sent_anew_only_if_it_says_something_else(alice_client, a_run):
    run = a_run(state="running", started_at=timezone.now())
    seen = re.search(r"seen=(\w+)", alice_client.get("/runs/active/").content.decode())[1]
    assert alice_client.get(f"/runs/active/?seen={seen}").status_code == 204
    Run.objects.filter(pk=run.pk).update(state="succeeded", ended_at=timezone.now())
    answer = alice_client.get(f"/runs/active/?seen={seen}", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Trigger"]) == (200, "runs-changed")
    assert "Nothing is running now" in answer.content.decode()


def test_the_block_has_only_what_one_may_see_and_counts_the_rest(bob_client, alice_client, a_run):
    for _ in range(active_runs.SHOWN + 2):
        a_run()
    assert "Nothing is running now" in bob_client.get("/runs/active/").content.decode()
    assert "and 2 more" in alice_client.get("/runs/active/").content.decode()


def test_a_text_is_found_in_the_output_however_it_is_coloured_or_capitalized(alice_client, printed):
    run = printed("first", "Di\x1b[Ksk \x1b[31mFULL\x1b[0m on <db1>")
    printed("all is well")
    page = found(alice_client, "text=disk full")
    assert f'href="/runs/{run.pk}/?line=2#L2"' in page
    assert '<mark class="excerpt__hit">Disk FULL</mark> on &lt;db1&gt;' in page
    assert page.count("<article") == 1


def test_what_went_to_stderr_says_so_to_eyes_and_ears(alice_client, printed):
    run = printed("disk full")
    run.log.write_text(run.log.read_text() + "2026-11-22T16:23:59.123456Z stderr F disk gone\n")
    told, other = re.findall("<li .*</li>", found(alice_client, "text=disk"))
    assert "stderr" not in told
    assert "excerpt__line--stderr" in other
    assert '<span class="visually-hidden">stderr: </span><mark class="excerpt__hit">disk</mark> gone' in other


def test_a_text_is_found_in_a_line_that_came_in_parts(alice_client, printed):
    run = printed()
    parts = ("stdout P a nee", "stderr F between", "stdout F dle here")
    run.log.write_text("".join(f"2026-11-22T16:23:59.123456Z {part}\n" for part in parts))
    assert f"/runs/{run.pk}/?line=1#L1" in found(alice_client, "text=needle")


def test_what_only_frames_the_output_is_not_found(alice_client, printed):
    printed("hello")
    assert "No run has printed that." in found(alice_client, "text=stdout")


def test_a_text_in_a_run_that_one_may_not_see_is_not_found(bob_client, printed):
    printed("a needle")
    assert "No run has printed that." in found(bob_client, "text=needle")


def test_a_search_whose_time_is_over_goes_on_where_it_stopped(alice_client, printed, monkeypatch):
    monkeypatch.setattr(output_search, "SECONDS", 0)
    older, newer = printed("a needle"), printed("a needle")
    page = found(alice_client, "text=needle")
    assert f"/runs/{newer.pk}/?line=1" in page
    assert f"/runs/{older.pk}/?line=1" not in page
    assert f'href="/runs/?text=needle&amp;before={newer.pk}"' in page
    assert f"/runs/{older.pk}/?line=1" in found(alice_client, f"text=needle&before={newer.pk}")


def test_a_log_that_is_too_long_for_this_page_is_named_and_can_be_searched_alone(alice_client, printed, monkeypatch):
    monkeypatch.setattr(output_search, "SECONDS", 0)
    monkeypatch.setattr(log_search, "READ", 1000)
    needle, long = printed("a needle"), printed(*["hay"] * 500, "a needle")
    page = found(alice_client, "text=a+needle")
    assert f"#{long.pk}</span> has printed too much to be searched here" in page
    assert f'<a href="/runs/{long.pk}/search/?q=a%20needle">Search it alone</a>' in page
    assert f"/runs/{needle.pk}/?line=1" in found(alice_client, f"text=a+needle&before={long.pk}")


def test_more_hits_are_added_to_those_that_are_there(alice_client, printed):
    run = printed("a needle")
    answer = alice_client.get("/runs/?text=needle", headers=FRAGMENT | {"HX-Target": "div#search-on"})
    assert answer.content.strip().startswith(b"<article")
    assert f"/runs/{run.pk}/?line=1" in answer.content.decode()


def test_runs_whose_output_is_gone_are_counted(alice_client, a_run):
    a_run(state="succeeded", started_at=timezone.now(), ended_at=timezone.now())
    assert "The output of 1 run is not there any more." in found(alice_client, "text=needle")
