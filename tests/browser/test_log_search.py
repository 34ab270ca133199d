"""Whatever the script has printed is found, also while it prints on."""

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.processes import until

from .pages import execute, line, state

pytestmark = pytest.mark.browser

# Every thousandth of 5000 lines has the word in it, in part in colour.
SCRIPT = r"""
for number in $(seq 1 5000); do
  if [ $((number % 1000)) = 0 ]; then printf 'a hay\033[31mSTACK\033[0m %s\n' "$number"; else echo "line $number"; fi
done
"""
LATER = SCRIPT + 'until [ -e "$STOP" ]; do sleep 0.05; done; echo "one haystack more"; sleep 3'
MARKED = "(name) => [...CSS.highlights.get(name)].map((range) => range.startContainer.data)"


def field(page: Page) -> Locator:
    return page.get_by_role("searchbox", name="Search the output")


def said(page: Page) -> Locator:
    return page.locator("[data-log-hits]")


@pytest.fixture
def log(visit, add_runbook) -> Page:
    add_runbook("Hay", script=SCRIPT)
    page = visit("alice")
    execute(page, "Hay")
    expect(state(page)).to_have_text("succeeded")
    page.reload()
    expect(line(page, "line 4999")).to_be_in_viewport()
    return page


def test_the_search_goes_from_hit_to_hit_and_round(log):
    field(log).fill("haystack")
    expect(said(log)).to_have_text("5 of 5")
    expect(line(log, "a haySTACK 5000")).to_be_in_viewport()
    field(log).press("Enter")
    expect(said(log)).to_have_text("1 of 5")
    expect(line(log, "a haySTACK 1000")).to_be_in_viewport()
    field(log).press("Shift+Enter")
    expect(said(log)).to_have_text("5 of 5")
    log.get_by_role("button", name="Previous hit").click()
    expect(line(log, "a haySTACK 4000")).to_be_in_viewport()
    expect(said(log)).to_have_text("4 of 5")
    log.get_by_role("log").press("n")
    expect(said(log)).to_have_text("5 of 5")


def test_hits_are_marked_across_colours_and_the_current_one_stands_out(log):
    field(log).fill("haystack")
    expect(said(log)).to_have_text("5 of 5")
    until(lambda: log.evaluate("CSS.highlights.get('log-hit').size"))
    assert log.evaluate(MARKED, "log-current") == ["a hay"]
    expect(log.locator(".log__line--current .log__text")).to_have_text("a haySTACK 5000")
    field(log).press("Escape")
    assert log.evaluate("CSS.highlights.get('log-hit').size + CSS.highlights.get('log-current').size") == 0
    expect(log.locator(".log__line--current")).to_have_count(0)


def test_what_is_nowhere_is_said_to_be_nowhere(log):
    field(log).fill("needle")
    expect(said(log)).to_have_text("no match")
    expect(log.get_by_role("button", name="Next hit")).to_be_disabled()
    expect(line(log, "line 4999")).to_be_in_viewport()


def test_what_is_printed_during_the_search_is_found_too(visit, add_runbook, tmp_path: Path):
    add_runbook("Later", requirements={"STOP": "the file after which it prints more"}, script=LATER)
    page = visit("alice")
    execute(page, "Later", STOP=tmp_path / "stop")
    expect(line(page, "line 4999")).to_be_attached()
    field(page).fill("haystack")
    expect(said(page)).to_have_text("5 of 5")
    (tmp_path / "stop").touch()
    expect(said(page)).to_have_text("5 of 6")
    field(page).press("Enter")
    expect(line(page, "one haystack more")).to_be_in_viewport()


def test_without_javascript_the_hits_are_a_page_of_links(log, visit):
    page = visit("alice", javascript=False)
    page.goto(log.url)
    field(page).fill("haystack")
    field(page).press("Enter")
    page.get_by_role("link", name="1,000").or_(page.get_by_role("link", name="1000")).first.click()
    expect(line(page, "a haySTACK 1000")).to_be_attached()
