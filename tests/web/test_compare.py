"""Two runs side by side."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from runbooks.execution import folder
from runbooks.models import Run


@pytest.fixture(autouse=True)
def _a_runbook_for_sre(library, a_runbook):
    library.add("restart.md", a_runbook(claims={"roles": ["sre"]}))


@pytest.fixture
def ended(a_run):
    """A run that has ended, and what it has printed."""

    def create(*lines: str, seconds: int = 5, **fields: object) -> Run:
        now = timezone.now()
        run = a_run(**{"state": "succeeded", "started_at": now - timedelta(seconds=seconds), "ended_at": now} | fields)
        folder.prepare(run.folder)
        run.log.write_text("".join(f"2026-11-22T16:23:59.123456Z stdout F {line}\n" for line in lines))
        return run

    return create


def page_of(client, a: Run, b: Run) -> str:
    return client.get(f"/runs/compare/?a={a.pk}&b={b.pk}").content.decode()


def test_what_differs_is_said_in_words(alice_client, ended):
    a = ended("one", "two", values={"HOST": "db1", "COUNT": "3"})
    b = ended("one", "2", values={"HOST": "db2", "COUNT": "3"}, state="failed", seconds=65, source="# other")
    page = page_of(alice_client, a, b)
    assert f"#{a.pk} succeeded, #{b.pk} failed." in page
    assert f"#{b.pk} took 1 min longer. HOST differs. The runbook was changed between them." in page
    assert "The output differs from line 2 on." in page
    assert page.count('class="compare__differs"') == 1


def test_what_is_the_same_is_said_too(alice_client, ended):
    page = page_of(alice_client, ended("one"), ended("one"))
    assert "Both succeeded. They took equally long. The runbook is the same. They printed the same." in page
    assert "difference__line" not in page


def test_secrets_are_not_called_the_same(alice_client, ended):
    same, secret = {"HOST": "db1"}, {"HOST": "db1", "API_TOKEN": "***"}
    page = page_of(alice_client, ended(values=secret), ended(values=secret))
    assert "The values are the same, but for secrets, which are kept nowhere and cannot be compared." in page
    assert page.count("*** (a secret: cannot be compared)") == 2
    assert "The values are the same. " in page_of(alice_client, ended(values=same), ended(values=same))
    assert "API_TOKEN differs." in page_of(alice_client, ended(values=secret), ended(values=same))


def test_two_runbooks_are_not_one_that_was_changed(alice_client, ended, library, a_runbook):
    library.add("stop.md", a_runbook(claims={"roles": ["sre"]}))
    page = page_of(alice_client, ended("one"), ended("one", runbook="stop.md", source="# other"))
    assert "They are runs of two runbooks." in page
    assert "was changed" not in page


def test_nothing_reads_differently_from_what_it_says(alice_client, ended):
    a = ended(values={"HOST": "db\u202e1"}, note="\u2066note", source="# a\n\u202ebackwards")
    page = page_of(alice_client, a, ended(values={"HOST": "db1"}, reason="\u202dwhy"))
    assert '<div class="typed">db\ufffd1</div>' in page
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", page)


def test_lines_of_one_run_alone_say_so_without_colours(alice_client, ended):
    a, b = ended("same", "\x1b[31mold\x1b[0m"), ended("same", "<b>new</b>")
    page = page_of(alice_client, a, b)
    assert f'only in #{a.pk}</span></td><td class="difference__text">old</td>' in page
    assert f'only in #{b.pk}</span></td><td class="difference__text">&lt;b&gt;new&lt;/b&gt;</td>' in page
    assert "difference__line--removed" in page
    assert "difference__line--added" in page


def test_long_outputs_are_compared_in_part(alice_client, ended, monkeypatch):
    monkeypatch.setattr("runbooks.web.comparison.LINES", 2)
    page = page_of(alice_client, ended("a", "b", "c"), ended("a", "b", "d"))
    assert "the first 2 lines are compared" in page
    assert "The first 2 lines of their output are the same." in page


def test_outputs_with_nothing_in_common_show_where_they_part(alice_client, ended):
    a, b = (ended("begin", *(f"{word} {number}" for number in range(2000))) for word in ("red", "blue"))
    page = page_of(alice_client, a, b)
    assert "too little in common" in page
    assert f"/runs/{b.pk}/?line=2#L2" in page


def test_what_only_one_run_has_printed_at_length_is_folded(alice_client, ended):
    a, b = ended(*(f"line {number}" for number in range(1222))), ended("five", "more", "lines")
    page = page_of(alice_client, a, b)
    assert f"1,219 more lines only in #{a.pk}</summary>" in page
    assert page.count("<details") == 1
    fold = page.partition("<details")[2].partition("</details>")[0]
    assert "line 1221</td>" in fold
    assert "five" not in fold


def test_a_run_that_printed_nothing_is_named(alice_client, ended):
    silent = ended()
    assert f"#{silent.pk} printed nothing." in page_of(alice_client, silent, ended("one"))


def test_an_output_that_is_gone_is_not_called_the_same(alice_client, ended, a_run):
    gone = a_run(state="succeeded", started_at=timezone.now(), ended_at=timezone.now())
    page = page_of(alice_client, gone, ended())
    assert f"What #{gone.pk} printed is not there any more." in page
    assert "the same.</p>" not in page.partition('id="output"')[2]


def test_two_ticked_runs_are_compared_the_older_first(alice_client, ended):
    a, b = ended(), ended()
    assert alice_client.get(f"/runs/compare/?run={b.pk}&run={a.pk}").url == f"/runs/compare/?a={a.pk}&b={b.pk}"


@pytest.mark.parametrize(
    "query", ["run=1", "run=1&run=2&run=3", "run=1&run=1", "run=1&run=x", "a=1", "a=x&b=2", "a=-1&b=1"]
)
def test_what_are_not_two_runs_leads_to_a_form(alice_client, query):
    answer = alice_client.get(f"/runs/compare/?{query}")
    assert answer.status_code == 400
    assert '<label class="field__label" for="id_a">First run</label>' in answer.content.decode()


def test_the_form_alone_is_no_mistake(alice_client):
    answer = alice_client.get("/runs/compare/")
    assert answer.status_code == 200
    assert 'role="alert"><' not in answer.content.decode()


def test_both_runs_must_be_seen(bob_client, ended, a_run):
    own, other = a_run("gone.md", actor="bob"), ended()
    assert bob_client.get(f"/runs/compare/?a={own.pk}&b={other.pk}").status_code == 404
    assert bob_client.get(f"/runs/compare/?a={own.pk}&b={own.pk}").status_code == 200
