"""The page of usage: what it counts, for whom, and where each number leads."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.core.cache import cache
from django.db.models import Count
from django.utils import timezone

from runbooks.access.actor import Actor
from runbooks.library import visible_runs
from runbooks.web import usage_counts
from tests.conftest import client_of


def text_of(answer) -> str:
    return answer.content.decode()


@pytest.fixture(autouse=True)
def _nothing_kept():
    cache.clear()


@pytest.fixture
def ago(a_run):
    """Adds a run of so many days ago."""

    def add(days: float, path: str = "restart.md", *, seconds: float = 1, state: str = "succeeded", **fields: object):
        queued_at = timezone.now() - timedelta(days=days)
        times = {"queued_at": queued_at, "started_at": queued_at, "ended_at": queued_at + timedelta(seconds=seconds)}
        return a_run(path, state=state, **times, **fields)

    return add


@pytest.fixture
def restart(library, a_runbook):
    return library.add("restart.md", a_runbook())


def ranking(page: str, title: str) -> list[tuple[str, str]]:
    """The names and the numbers below the heading of this id."""
    part = page.split(f'id="{title}"')[1].split("</section>")[0]
    rows = re.findall(r'scope="row">(.*?)</th>\s*<td class="ranking__number">(.*?)</td>', part, re.DOTALL)
    return [(re.sub("<[^>]*>", "", name), number) for name, number in rows]


def number(page: str, term: str) -> str:
    return re.search(f"<dt>{term}</dt><dd>(?:<a[^>]*>)?([^<]*)", page)[1]


def test_without_runs_it_says_what_to_do(alice_client, library):
    page = text_of(alice_client.get("/usage/"))
    assert "Nothing that you may see has run in the last 30 days." in page
    assert 'href="/runbooks/"' in page
    assert '<svg class="chart' not in page


def test_it_counts_what_there_was_in_the_period(alice_client, restart, ago):
    for days in (0, 2, 6, 10, 50, 200):
        ago(days)
    pages = [text_of(alice_client.get(f"/usage/?days={days}")) for days in (7, 30, 90)]
    assert [number(page, "Runs") for page in pages] == ["3", "4", "5"]


def test_a_day_has_its_runs_by_their_end_and_leads_to_them(alice_client, restart, ago):
    ago(1, state="failed")
    ago(1)
    day = timezone.localdate() - timedelta(days=1)
    page = unescape(text_of(alice_client.get("/usage/")))
    assert f"{day:%a} {day.day} {day:%b}: 1 succeeded, 1 failed" in page
    assert f'href="/runs/?since={day}&until={day}"' in page


def test_the_share_that_fails_leaves_out_what_was_cancelled(alice_client, restart, ago):
    for state in ("succeeded", "succeeded", "succeeded", "timed_out", "cancelled", "refused"):
        ago(1, state=state)
    page = text_of(alice_client.get("/usage/"))
    assert ranking(page, "failing") == [("restart (1)", "25%")]
    assert number(page, "Succeeded") == "75%"


def test_nothing_that_failed_is_said_in_words(alice_client, restart, ago):
    ago(1)
    assert "Nothing has failed in these 30 days." in text_of(alice_client.get("/usage/"))


def test_the_slowest_come_first(alice_client, library, a_runbook, ago):
    for path, seconds in (("quick.md", 2), ("ops/slow.md", 90), ("new.md", 500)):
        library.add(path, a_runbook(name=path[:-3]))
        for _ in range(1 if path == "new.md" else 3):
            ago(1, path, seconds=seconds)
    page = text_of(alice_client.get("/usage/"))
    assert ranking(page, "slow") == [("ops/slow", "1 min 30 s"), ("quick", "2.0 s")]


def test_it_ranks_runbooks_and_people_by_their_runs(alice_client, library, a_runbook, ago):
    for path, actor in (("a.md", "bob"), ("b.md", "bob"), ("b.md", "<dora>")):
        library.add(path, a_runbook(name=path[:-3]))
        ago(1, path, actor=actor)
    page = text_of(alice_client.get("/usage/"))
    assert ranking(page, "used") == [("b", "2"), ("a", "1")]
    assert ranking(page, "by") == [("bob", "2"), ("&lt;dora&gt;", "1")]
    assert "person=%3Cdora%3E" in page


def test_runs_that_one_may_not_see_are_not_counted(library, a_runbook, restart, ago, db):
    library.add("guarded.md", a_runbook(name="guarded", claims={"roles": ["dba"]}))
    ago(1, actor="zoe")
    ago(1, "guarded.md", actor="dora")
    bob, dora = (text_of(client_of(who, role).get("/usage/")) for who, role in (("bob", "sre"), ("dora", "dba")))
    assert "guarded" not in bob
    assert (number(bob, "Runs"), number(dora, "Runs")) == ("1", "2")


def test_how_long_others_runs_took_is_not_told_once_the_file_is_gone(alice_client, library, ago):
    for actor, seconds in (("alice", 2), ("zoe", 90)):
        for _ in range(3):
            ago(1, "gone.md", actor=actor, seconds=seconds)
    assert ranking(text_of(alice_client.get("/usage/")), "slow") == [("gone", "2.0 s")]
    assert ranking(text_of(client_of("zoe", "sre").get("/usage/")), "slow") == [("gone", "1 min 30 s")]


def test_a_lost_role_is_heeded_at_once_although_numbers_are_kept(library, a_runbook, ago, db):
    library.add("guarded.md", a_runbook(name="guarded", claims={"roles": ["dba"]}))
    ago(1, "guarded.md", actor="dora")
    assert "guarded" in text_of(client_of("zoe", "dba").get("/usage/"))
    assert "guarded" not in text_of(client_of("zoe", "sre").get("/usage/"))


def test_what_is_kept_for_two_runbooks_is_not_told_of_one_that_is_named_like_both(library, a_runbook, ago):
    for name, role in (("a", "sre"), ("b", "sre"), ("a.md, b", "dba")):
        library.add(f"{name}.md", a_runbook(name=name, claims={"roles": [role]}))
    ago(1, "a.md")
    totals = [usage_counts.counts(Actor("zoe", {"roles": (role,)}), days=7).states.total() for role in ("sre", "dba")]
    assert totals == [1, 0]


def test_the_numbers_are_kept_for_a_minute(alice_client, restart, ago):
    ago(1)
    assert number(text_of(alice_client.get("/usage/")), "Runs") == "1"
    ago(1)
    assert number(text_of(alice_client.get("/usage/")), "Runs") == "1"


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland", "Asia/Kathmandu", "America/St_Johns"])
def test_a_day_is_the_viewers_own(restart, a_run, zone, monkeypatch):
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    monkeypatch.setattr(timezone, "now", lambda: now)
    with timezone.override(zone):
        noon = timezone.localtime(now).replace(hour=12)
        for minute in (-1, 0, 24 * 60 - 1):
            begins = noon.replace(hour=0, minute=0) - timedelta(days=2)
            a_run(queued_at=begins + timedelta(minutes=minute), state="succeeded", actor="ann")
        found = usage_counts.counts(Actor("ann"), days=7)
        two_days_before = timezone.localdate() - timedelta(days=2)
    assert found.by_day[two_days_before, "succeeded"] == 2
    assert found.by_day[two_days_before - timedelta(days=1), "succeeded"] == 1


@pytest.mark.parametrize("days", ["0", "5", "-7", "x", "٣", "", "30; drop table"])
def test_another_period_is_refused(alice_client, library, days):
    assert alice_client.get("/usage/", {"days": days}).status_code == 400


def test_it_counts_in_an_index_alone(restart, a_run):
    a_run(state="succeeded")
    runs = visible_runs(Actor("ann")).order_by()
    grouped = usage_counts._grouped(runs, timezone.now() - timedelta(days=30))
    assert "COVERING INDEX listed" in grouped.values_list("moment", "stands").annotate(Count("pk")).explain()
