"""Lines anywhere in a run's log, and hits in it, as a page's scripts ask for them, and as pages without a script."""

import re

import pytest
from django.test import Client
from django.utils import timezone

from runbooks.execution import folder
from runbooks.models import Run, State
from tests.output.conftest import line

NUMBERS = re.compile(r'id="L(\d+)"')
COVERED = re.compile(r'data-first="(\d+)" data-last="(\d+)"')


@pytest.fixture
def printed(a_run):
    """A run that has printed this."""

    def printed(log: bytes) -> Run:
        run = a_run(path="gone.md", state=State.SUCCEEDED, started_at=timezone.now(), ended_at=timezone.now())
        folder.prepare(run.folder)
        run.log.write_bytes(log)
        return run

    return printed


@pytest.fixture
def thousand(printed) -> Run:
    """A run with a thousand lines, of which each hundredth is one of stderr."""
    lines = (line(f"number {n}", stream="stdout" if n % 100 else "stderr") for n in range(1, 1001))
    return printed(b"".join(lines))


def ask(client: Client, run: Run, query: str, **headers: str):
    return client.get(f"/runs/{run.pk}/{query}", headers=headers)


@pytest.mark.parametrize(
    ("query", "first", "last"),
    [
        ("end=1", 501, 1000),
        ("from=1", 1, 500),
        ("from=990", 990, 1000),
        ("before=501", 1, 500),
        ("before=11", 1, 10),
        ("around=500", 250, 749),
        ("around=2000", 501, 1000),
    ],
)
def test_any_lines_can_be_asked_for(alice_client, thousand, query, first, last):
    answer = ask(alice_client, thousand, f"lines/?{query}")
    assert [int(number) for number in NUMBERS.findall(answer.text)] == list(range(first, last + 1))
    assert COVERED.findall(answer.text) == [(str(first), str(last))]
    told = [int(answer.headers[f"Log-{name}"]) for name in ("First", "Last", "Count")]
    assert told == [first, last, 1000]


def test_lines_of_stderr_alone_say_which_lines_they_cover(alice_client, thousand):
    answer = ask(alice_client, thousand, "lines/?around=500&only=stderr")
    assert NUMBERS.findall(answer.text) == [str(number) for number in range(100, 1001, 100)]
    assert COVERED.findall(answer.text) == [("1", "1000")]


def test_after_the_last_line_there_is_nothing_yet(alice_client, thousand):
    answer = ask(alice_client, thousand, "lines/?from=1001")
    assert (answer.text, answer.headers["Log-First"], answer.headers["Log-Last"]) == ("", "1001", "1000")


@pytest.mark.parametrize(
    "query", ["", "from=", "from=x", "from=-1", "from=٣", "end=2", "end=1&only=stdout", "around=1e3"]
)
def test_what_cannot_be_understood_is_answered_with_what_can(alice_client, thousand, query):
    answer = ask(alice_client, thousand, f"lines/?{query}")
    assert (answer.status_code, "from=LINE, before=LINE" in answer.text) == (400, True)


def test_a_log_that_is_gone_has_no_lines(alice_client, a_run):
    answer = ask(alice_client, a_run(path="gone.md"), "lines/?end=1")
    assert (answer.status_code, answer.text, answer.headers["Log-Count"]) == (200, "", "0")


def test_the_page_opens_around_a_line_and_shows_the_ways_from_there(alice_client, printed):
    run = printed(line("plain") * 3000)
    page = alice_client.get(f"/runs/{run.pk}/", {"line": "1500"}).text
    assert NUMBERS.findall(page) == [str(number) for number in range(1250, 1750)]
    assert f'href="/runs/{run.pk}/?line=1000#log"' in page
    assert f'href="/runs/{run.pk}/?line=1999#log"' in page


@pytest.mark.parametrize("line_asked", ["", "x", "0", "-5", "9" * 30, "99999"])
def test_a_line_that_is_not_there_opens_the_page_all_the_same(alice_client, thousand, line_asked):
    page = alice_client.get(f"/runs/{thousand.pk}/", {"line": line_asked})
    assert (page.status_code, len(NUMBERS.findall(page.text))) == (200, 500)


def test_hits_are_told_by_number(alice_client, thousand):
    answer = ask(alice_client, thousand, "search/?q=NUMBER%2099").json()
    assert answer == {"count": 11, "skipped": 0, "lines": [99, *range(990, 1000)], "until": 1000, "is_complete": True}


@pytest.mark.parametrize(
    ("query", "lines"),
    [("q=number%2010&only=stderr", [100, 1000]), ("q=NUMBER&case=1", []), ("q=number%2010&from=200", [1000])],
)
def test_a_search_can_be_narrowed(alice_client, thousand, query, lines):
    assert ask(alice_client, thousand, f"search/?{query}").json()["lines"] == lines


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("", "q: Type what to look for."),
        ("q=a&only=x", "only: "),
        ("q=a&from=x", "from: "),
        ("q=" + "a" * 501, "500"),
    ],
)
def test_a_search_that_cannot_be_understood_says_why(alice_client, thousand, query, problem):
    answer = ask(alice_client, thousand, f"search/?{query}")
    assert (answer.status_code, problem in answer.json()["error"]) == (400, True)
    page = ask(alice_client, thousand, f"search/?{query}", accept="text/html")
    assert (page.status_code, 'role="alert"' in page.text) == (400, True)


def test_without_a_script_hits_are_a_page_of_links(alice_client, thousand):
    page = ask(alice_client, thousand, "search/?q=Number%20100", accept="text/html,*/*").text
    assert "Found in 2 lines." in page
    assert f'href="/runs/{thousand.pk}/?line=100#L100"' in page
    assert '<mark class="excerpt__hit">number 100</mark>' in page


def test_of_many_hits_the_page_shows_some_and_the_way_on(alice_client, thousand):
    page = ask(alice_client, thousand, "search/?q=number", accept="text/html").text
    assert "Found in 1,000 lines; these are the first 500." in page
    assert page.count('<li class="excerpt">') == 500
    way_on = re.search(r'href="\?([^"]*from=501)"', page)[1].replace("&amp;", "&")
    assert "line=1000#L1000" in ask(alice_client, thousand, f"search/?{way_on}", accept="text/html").text


def test_a_hit_is_text_and_no_markup(alice_client, printed):
    run = printed(line("<script>alert('hit')</script>"))
    page = ask(alice_client, run, "search/?q=alert", accept="text/html").text
    assert "&lt;script&gt;<mark" in page
    assert "<script>alert" not in page


def test_no_hit_is_a_sentence(alice_client, thousand):
    assert "No line has that." in ask(alice_client, thousand, "search/?q=nowhere", accept="text/html").text


@pytest.mark.parametrize("query", ["lines/?end=1", "search/?q=a"])
def test_a_script_of_who_is_not_signed_in_is_told_so(db, thousand, query):
    answer = ask(Client(), thousand, query)
    assert (answer.status_code, answer.text) == (401, "Sign in first.")


def test_a_person_who_is_not_signed_in_is_sent_to_sign_in(db, thousand):
    answer = ask(Client(), thousand, "search/?q=a", accept="text/html")
    assert answer.headers["Location"] == f"/login/?next=/runs/{thousand.pk}/search/%3Fq%3Da"


@pytest.mark.parametrize("query", ["lines/?end=1", "search/?q=a"])
def test_who_may_not_see_the_run_sees_nothing_of_its_log(bob_client, thousand, query):
    assert ask(bob_client, thousand, query).status_code == 404
    assert bob_client.post(f"/runs/{thousand.pk}/{query}").status_code == 405
