"""Whatever the script has printed is found, also while it prints on."""

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

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


def piece(lines: list[int], until: int, *, is_complete: bool) -> dict[str, object]:
    """What the server answers of a part of the log."""
    return {"lines": lines, "count": len(lines), "skipped": 0, "until": until, "is_complete": is_complete}


@pytest.fixture
def log(visit, add_runbook) -> Page:
    add_runbook("Hay", script=SCRIPT)
    page = visit("alice", allowed=["/search/"])
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


def test_more_hits_than_are_told_at_once_are_all_within_reach(visit, add_runbook):
    add_runbook("Hits", script="seq -f 'hay %.0f' 1 10002; seq -f 'chaff %g' 1 100")
    page = visit("alice")
    execute(page, "Hits")
    expect(state(page)).to_have_text("succeeded")
    page.reload()
    field(page).fill("hay")
    expect(said(page)).to_have_text("10,002 of 10,002")  # one reads at the end, not at the beginning
    expect(line(page, "hay 10002")).to_be_in_viewport()
    for key, place in (("Enter", 1), ("Shift+Enter", 10_002), ("Shift+Enter", 10_001)):
        field(page).press(key)
        expect(said(page)).to_have_text(f"{place:,} of 10,002")
        expect(line(page, f"hay {place}")).to_be_in_viewport()


def test_hits_before_those_that_are_held_are_gone_back_to(visit, add_runbook):
    add_runbook("Hits-before", script="seq -f 'hay %.0f' 1 16000")
    page = visit("alice")
    execute(page, "Hits-before")
    expect(state(page)).to_have_text("succeeded")
    page.goto(f"{page.url}#L10500")
    expect(line(page, "hay 10500")).to_be_in_viewport()
    field(page).fill("hay")
    expect(said(page)).to_have_text(re.compile(r"^10,4\d\d of 16,000$"))
    edge = page.evaluate("runbookweb.hits.begin('hay', 10500).then((found) => found.lines[0])")
    back = "() => runbookweb.hits.begin('hay', 10500).then((found) => runbookweb.hits.turn(found, -1))"
    found = page.evaluate(back)
    assert edge == 10_001
    assert edge - 1 in found["lines"]
    assert found["before"] == found["lines"][0] - 1


def test_a_later_piece_with_more_than_is_held_drops_what_was_known(log):
    pieces = iter(
        [
            piece([30], 40, is_complete=False),
            {"lines": [4000, 4990], "count": 5002, "skipped": 5000, "until": 5000, "is_complete": True},
        ]
    )
    log.route("**/search/?*", lambda route: route.fulfill(json=next(pieces)))
    field(log).fill("line")
    expect(said(log)).to_have_text(re.compile("^5,003 of 5,003$"))
    expect(line(log, "line 4990")).to_be_in_viewport()


def test_what_a_longer_search_brings_is_gone_through_in_order(log):
    pieces = iter([piece([30], 40, is_complete=False), piece([20, 50], 5000, is_complete=True)])
    log.route("**/search/?*", lambda route: route.fulfill(json=next(pieces)))
    field(log).fill("line")
    expect(said(log)).to_have_text("3 of 3")
    for number in (20, 30, 50):
        field(log).press("Enter")
        expect(line(log, f"line {number}")).to_be_in_viewport()


def test_a_search_that_is_cut_off_is_gone_on_with_but_not_at_once(log):
    asked = []

    def answer(route: Route) -> None:
        asked.append(time.monotonic())
        if len(asked) == 1:
            route.fulfill(json=piece([30], 40, is_complete=False))
        elif len(asked) < 4:
            route.abort()
        else:
            route.fulfill(json=piece([50], 5000, is_complete=True))

    log.route("**/search/?*", answer)
    field(log).fill("line")
    expect(said(log)).to_have_text(re.compile("of 2$"))
    assert asked[3] - asked[1] > 1.8


def test_without_javascript_the_hits_are_a_page_of_links(log, visit):
    page = visit("alice", javascript=False)
    page.goto(log.url)
    field(page).fill("haystack")
    field(page).press("Enter")
    page.get_by_role("link", name="1,000").or_(page.get_by_role("link", name="1000")).first.click()
    expect(line(page, "a haySTACK 1000")).to_be_attached()
