"""The order of the list of runbooks, its folders, and what its search finds first."""

import html
import re
from datetime import timedelta

import pytest
from django.utils import timezone

from runbooks.web import runbook_list

SRE = {"roles": ["sre"]}
DBA = {"roles": ["dba"]}


def text_of(answer) -> str:
    return answer.content.decode()


def listed(client, **query: str) -> list[str]:
    """The paths in the list, in their order."""
    return re.findall('class="runbooks__name" href="/runbooks/([^"]+)/"', text_of(client.get("/runbooks/", query)))


def headings(client) -> list[str]:
    return re.findall("</svg>([^<]+)</h2>", text_of(client.get("/runbooks/")))


def test_folders_are_headings_and_what_one_may_only_read_comes_last(alice_client, library, a_runbook):
    for path, claims in (("a/closed.md", DBA), ("a/open.md", SRE), ("b/c/deep.md", None), ("top.md", None)):
        library.add(path, a_runbook(name=path.rpartition("/")[2][:-3], claims=claims))
    assert listed(alice_client) == ["top.md", "a/open.md", "b/c/deep.md", "a/closed.md"]
    assert headings(alice_client) == ["Not in a folder", "a", "b / c", "Only to read"]


def test_one_folder_alone_needs_no_heading(alice_client, library, a_runbook):
    library.add("db/restart.md", a_runbook())
    assert headings(alice_client) == []


def test_many_runbooks_are_folded_by_folder_and_each_folder_opens(alice_client, library, a_runbook, monkeypatch):
    monkeypatch.setattr(runbook_list, "MANY", 2)
    for path in ("a&b/one.md", "a&b/two.md", "c/three.md", "top.md"):
        library.add(path, a_runbook(name=path.rpartition("/")[2][:-3]))
    assert listed(alice_client) == ["top.md"]
    assert "/runbooks/?only=in%3Aa%26b" in text_of(alice_client.get("/runbooks/"))
    assert listed(alice_client, only="in:a&b") == ["a&amp;b/one.md", "a&amp;b/two.md"]


def test_htmx_gets_the_rows_of_an_opened_folder_alone(alice_client, library, a_runbook):
    library.add("db/restart.md", a_runbook())
    answer = alice_client.get("/runbooks/", {"only": "in:db"}, headers={"HX-Request": "true"})
    assert text_of(answer).lstrip().startswith('<ul class="runbooks__list">')


def test_a_large_folder_is_shown_in_parts_and_each_leads_to_the_next(alice_client, library, a_runbook, monkeypatch):
    monkeypatch.setattr(runbook_list, "MOST_ROWS", 2)
    for number in range(5):
        library.add(f"a&b/r{number}.md", a_runbook(name=f"r{number}"))
    shown, page = [], "/runbooks/?only=in%3Aa%26b"
    while page:
        answer = text_of(alice_client.get(page))
        shown.append("".join(re.findall('class="runbooks__name" href="/runbooks/a&amp;b/([^"]+).md/"', answer)))
        page = html.unescape("".join(re.findall('<p class="runbooks__next"><a class="button" href="([^"]+)"', answer)))
    assert shown == ["r0r1", "r2r3", "r4"]


def test_what_is_in_no_folder_is_shown_in_parts_too(alice_client, library, a_runbook, monkeypatch):
    monkeypatch.setattr(runbook_list, "MOST_ROWS", 2)
    for path in ("r0.md", "r1.md", "r2.md", "db/r3.md"):
        library.add(path, a_runbook(name=path.rpartition("/")[2][:-3]))
    assert listed(alice_client) == ["r0.md", "r1.md", "db/r3.md"]
    assert "Show 1 more (3 in all)</a>" in text_of(alice_client.get("/runbooks/"))
    assert listed(alice_client, only="top", **{"from": "2"}) == ["r2.md"]


def test_a_thousand_runbooks_in_a_folder_are_a_page_of_less_than_100_kb(alice_client, library, a_runbook):
    for number in range(1000):
        library.add(f"fleet/restart-{number}.md", a_runbook(name=f"restart-{number}"))
    for query in ({}, {"only": "in:fleet"}, {"q": "restart"}):
        assert len(alice_client.get("/runbooks/", query).content) < 100_000


@pytest.mark.parametrize("start", ["-1", "x", "", "٣", "1e9", "9" * 5000, "\0"])
def test_a_part_that_begins_at_no_number_is_the_first(alice_client, library, a_runbook, start):
    library.add("db/restart.md", a_runbook())
    assert listed(alice_client, only="in:db", **{"from": start}) == ["db/restart.md"]


@pytest.mark.parametrize("start", ["1", "999999999"])
def test_a_part_beyond_the_last_is_not_found(alice_client, library, a_runbook, start):
    library.add("db/restart.md", a_runbook())
    assert alice_client.get("/runbooks/", {"only": "in:db", "from": start}).status_code == 404


@pytest.mark.parametrize("only", ["in:nowhere", "x", "in:", "\0"])
def test_a_folder_that_is_not_there_is_not_found(alice_client, library, a_runbook, only):
    library.add("db/restart.md", a_runbook())
    assert alice_client.get("/runbooks/", {"only": only}).status_code == 404


def test_the_search_puts_a_name_before_a_folder_a_variable_and_a_description(alice_client, library, a_runbook):
    library.add("1.md", a_runbook(name="1", requirements={"HOST": "Where the cache is"}))
    library.add("2.md", a_runbook(name="2", about="Empties the cache."))
    library.add("3.md", a_runbook(name="3", requirements={"CACHE": "Which one"}))
    library.add("cache/4.md", a_runbook(name="4"))
    library.add("purge-cache.md", a_runbook(name="purge-cache"))
    library.add("cache-purge.md", a_runbook(name="cache-purge"))
    library.add("other.md", a_runbook(name="other"))
    found = ["cache-purge.md", "purge-cache.md", "cache/4.md", "3.md", "2.md", "1.md"]
    assert listed(alice_client, q="CACHE") == found


def test_the_search_needs_all_words_wherever_each_is(alice_client, library, a_runbook):
    library.add("db/restart.md", a_runbook(requirements={"REPLICA": "Which one"}))
    library.add("db/other.md", a_runbook(name="other", about="Something else."))
    assert listed(alice_client, q="replica db rest") == ["db/restart.md"]
    assert listed(alice_client, q="replica db other") == []


def test_of_equal_hits_the_first_is_one_that_may_be_run(alice_client, library, a_runbook):
    library.add("a-cache.md", a_runbook(name="a-cache", claims=DBA))
    library.add("b-cache.md", a_runbook(name="b-cache"))
    assert listed(alice_client, q="cache") == ["b-cache.md", "a-cache.md"]


def test_a_folders_name_is_no_markup(alice_client, library, a_runbook):
    library.add("<b hx-get=x>/one.md", a_runbook(name="one"))
    library.add("other/two.md", a_runbook(name="two"))
    page = text_of(alice_client.get("/runbooks/"))
    assert "&lt;b hx-get=x&gt;" in page
    assert "<b hx-get" not in page


def test_a_hit_in_a_variable_is_explained(alice_client, library, a_runbook):
    library.add("restart.md", a_runbook(requirements={"HOST": "A machine", "MODE": "How"}))
    page = text_of(alice_client.get("/runbooks/", {"q": "machine"}))
    assert "Asks for <code>HOST</code></p>" in page
    assert "<code>MODE</code>" not in page


def test_a_search_for_too_much_says_how_much_it_leaves_out(alice_client, library, a_runbook, monkeypatch):
    monkeypatch.setattr(runbook_list, "MOST_FOUND", 2)
    for number in range(5):
        library.add(f"r{number}.md", a_runbook(name=f"r{number}"))
    page = text_of(alice_client.get("/runbooks/", {"q": "r"}))
    assert "5 runbooks with “r”" in page
    assert "And 3 more" in page
    assert listed(alice_client, q="r") == ["r0.md", "r1.md"]


@pytest.mark.parametrize("query", ["\0", "%", "' OR 1=1", "x" * 5000, "\ud800", "a " * 2000])
def test_odd_searches_find_nothing_and_break_nothing(alice_client, library, a_runbook, query):
    library.add("restart.md", a_runbook())
    assert alice_client.get("/runbooks/", {"q": query.encode("utf-8", "replace")}).status_code == 200


def test_a_missing_claim_has_a_lock_and_words(bob_client, library, a_runbook):
    library.add("restart.md", a_runbook(claims=SRE))
    page = text_of(bob_client.get("/runbooks/"))
    assert "</svg><span>You need one of these roles: sre. You have: none.</span>" in page


def test_how_long_it_usually_takes_is_told_to_those_who_see_its_runs(
    alice_client, bob_client, library, a_runbook, a_run
):
    library.add("restart.md", a_runbook(claims=SRE))
    start = timezone.now()
    for seconds in (100, 90, 500):
        a_run(state="succeeded", started_at=start, ended_at=start + timedelta(seconds=seconds))
    assert "usually 1 min 40 s" in text_of(alice_client.get("/runbooks/"))
    assert "usually" not in text_of(bob_client.get("/runbooks/"))


def test_of_two_runs_nobody_knows_what_is_usual(alice_client, library, a_runbook, a_run):
    library.add("restart.md", a_runbook())
    for _ in range(2):
        a_run(state="succeeded", started_at=timezone.now(), ended_at=timezone.now())
    assert "usually" not in text_of(alice_client.get("/runbooks/"))


def test_an_empty_library_shows_a_runbook_to_begin_with_that_is_sound(alice_client, library):
    page = text_of(alice_client.get("/runbooks/"))
    example = re.search('<code id="first-runbook">(.*?)</code>', page, re.DOTALL)[1].replace("&quot;", '"')
    library.add("Hello.md", example)
    assert "problem" not in text_of(alice_client.get("/runbooks/"))
    assert "Whom to greet" in text_of(alice_client.get("/runbooks/Hello.md/"))
