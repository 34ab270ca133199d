"""What a runbook's page shows of its file, and where it shows what is wrong in it."""

import html
import re
from datetime import timedelta

import pytest
from django.utils import timezone

SRE = {"roles": ["sre"]}


@pytest.fixture
def page_of(library, a_runbook):
    """The page of a runbook with these contents, as this person sees it."""

    def page(client, **contents: object) -> str:
        library.add("db/restart.md", a_runbook(**contents))
        return client.get("/runbooks/db/restart.md/").content.decode()

    return page


def copied(page: str, id: str) -> str:
    """What the Copy button copies from this element."""
    return html.unescape(re.sub("<[^>]*>", "", re.search(f'<code id="{id}">(.*?)</code>', page, re.DOTALL)[1]))


def test_the_script_is_shown_whole_with_numbers_beside_it(alice_client, page_of):
    script = 'case "$1" in\n  <a>) echo "two\nlines" ;;\nesac\n\n# end'
    page = page_of(alice_client, script=script)
    assert copied(page, "script-text") == f"{script}\n"
    assert 'aria-hidden="true">1\n2\n3\n4\n5\n6</span>' in page
    assert "sh, 6 lines" in page


def test_blocks_that_form_and_facts_show_are_not_shown_twice(alice_client, page_of):
    page = page_of(alice_client, requirements={"HOST": "Where"}, claims=SRE, settings={"timeout": 60})
    text = page.partition('class="document runbook__text"')[2].partition("</article>")[0]
    for title in ("Environment", "File System", "Required Claims", "Settings", "Script"):
        assert title not in text
    assert "1 min" in page


def test_who_may_not_run_it_reads_what_it_asks_for(bob_client, page_of):
    page = page_of(bob_client, requirements={"HOST": "Where to"}, claims=SRE)
    assert 'id="doc-environment-requirements"' in page
    assert "Where to" in page


def test_the_whole_file_is_there_for_all_but_without_its_history(alice_client, bob_client, page_of, library):
    for client in (alice_client, bob_client):
        page = page_of(client, claims=SRE, history="Past secrets.")
        source = (library.root / "db/restart.md").read_text()
        assert copied(page, "whole-file") == source.partition("# History")[0]
        assert ("Past secrets." in page) == (client is alice_client)


def test_a_problem_stands_in_the_summary_and_at_its_section(alice_client, page_of):
    page = page_of(alice_client, requirements="HOST: {type: nothing}")
    number = re.search(r'<a href="#problem-1">line (\d+), Environment Requirements: ', page)[1]
    below = page.partition('id="doc-environment-requirements"')[2]
    assert 'id="problem-1"' in below
    assert f"<b>Error in line {number}</b>" in below
    assert '<span class="wrong wrong--error"><span class="nt">HOST</span>' in below


def test_a_problem_of_the_script_stands_at_the_script(alice_client, page_of):
    page = page_of(alice_client, script="#!/no/such/shell\necho")
    assert page.index('id="script-heading"') < page.index('id="problem-1"') < page.index('id="script-text"')
    assert '<span class="wrong wrong--error">' in page


def test_each_wrong_line_is_marked_as_what_it_is(alice_client, page_of):
    page = page_of(alice_client, requirements="A: {description: x, secret: true, default: x}\nB: {type: nothing}")
    text = page.partition('id="doc-environment-requirements"')[2]
    assert re.findall('<span class="(wrong[^"]*)"', text) == ["wrong", "wrong wrong--error"]


def test_what_is_missing_has_no_place_and_is_said_all_the_same(alice_client, library):
    library.add("bare.md", "# bare\n\nNothing else.\n")
    page = alice_client.get("/runbooks/bare.md/").content.decode()
    assert "line 1, Script: the section is missing" in page
    assert 'href="#problem-' not in page
    assert "Nothing else." in page


def test_a_problem_is_no_markup(alice_client, page_of):
    page = page_of(alice_client, requirements="HOST: {type: '<b onclick=x>'}", files="Input:\n- '<img src=x>'")
    assert "<b onclick" not in page
    assert "<img src=x" not in page


@pytest.mark.parametrize("source", ["", "# a\n" * 40_000, "# History\n\nx", "```", "\0", "# \0\n```yaml\n"])
def test_a_hopeless_file_has_a_page(alice_client, library, source):
    library.add("hopeless.md", source)
    answer = alice_client.get("/runbooks/hopeless.md/")
    assert answer.status_code == 200
    assert "This runbook cannot run as it is" in answer.content.decode()


def test_a_heading_of_an_author_can_be_no_part_of_the_page(alice_client, page_of):
    page = page_of(alice_client, about="## script-text\n\n## problem-1\n\n## favourites")
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_past_runs_have_a_chart_with_what_is_typical(alice_client, page_of, a_run):
    start = timezone.now() - timedelta(hours=1)
    runs = [
        a_run("db/restart.md", state="succeeded", started_at=start, ended_at=start + timedelta(seconds=s))
        for s in (60, 90, 120)
    ]
    page = page_of(alice_client)
    assert "The last 3 runs" in page
    assert "usually 1 min 30 s" in page
    assert page.count('class="chart__link"') == 3
    assert f'<a class="chart__link" href="/runs/{runs[0].pk}/" tabindex="-1">' in page


def test_one_run_is_no_chart_and_others_see_none(alice_client, bob_client, page_of, a_run):
    a_run("db/restart.md")
    assert "chart__plot" not in page_of(alice_client, claims=SRE)
    a_run("db/restart.md")
    assert "chart__plot" in page_of(alice_client, claims=SRE)
    assert "chart__plot" not in page_of(bob_client, claims=SRE)


def test_the_page_needs_few_queries_whatever_ran(alice_client, page_of, a_run, django_assert_max_num_queries):
    for _ in range(60):
        a_run("db/restart.md", state="failed", started_at=timezone.now(), ended_at=timezone.now())
    page_of(alice_client)
    with django_assert_max_num_queries(6):
        page_of(alice_client)


def test_beside_the_form_stands_what_goes_on_now_and_what_one_has_just_begun(alice_client, page_of, a_run):
    now = timezone.now()
    a_run("db/restart.md", state="succeeded", queued_at=now - timedelta(hours=1))
    a_run("db/restart.md", actor="bob", state="succeeded", queued_at=now)
    mine = a_run("db/restart.md", state="failed", queued_at=now - timedelta(seconds=70))
    theirs = a_run("db/restart.md", actor="bob", state="running", queued_at=now - timedelta(hours=2))
    form = page_of(alice_client).partition('id="execute-heading">Execute</h2>')[2].partition("<form")[0]
    told = [" ".join(html.unescape(re.sub("<[^>]*>", "", one)).split()) for one in form.split("</p>")[:-1]]
    assert told == [f"running Run #{theirs.pk} by bob, 2 h ago", f"failed Your run #{mine.pk}, 1 min ago"]


def test_who_may_not_see_its_runs_is_told_of_none(bob_client, page_of, a_run):
    a_run("db/restart.md", state="running")
    assert "form__current" not in page_of(bob_client, claims=SRE)
