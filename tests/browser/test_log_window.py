"""However long a log is, the page holds a part of it, and every line is within reach."""

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .pages import execute, line, lines, state

pytestmark = pytest.mark.browser

MILLION = """\
import sys
for start in range(1, 1_000_001, 1000):
    sys.stdout.write("".join(f"line {number}\\n" for number in range(start, start + 1000)))"""
# Prints 3000 lines at once, and as many more as each file in FOLDER says.
BATCHES = """\
import os, time
printed = 0
for batch, count in enumerate((3000, 1, 50)):
    while batch and not os.path.exists(f"{os.environ['FOLDER']}/{batch}"):
        time.sleep(0.02)
    for printed in range(printed + 1, printed + count + 1):
        print("line", printed, flush=batch > 0)"""
FOLDER = {"FOLDER": "where the test makes files"}


def numbers(page: Page) -> list[int]:
    """The numbers of the lines that the page holds."""
    return page.evaluate("[...document.querySelectorAll('.log__line')].map((row) => Number(row.id.slice(1)))")


def is_a_range(held: list[int]) -> bool:
    """Neither a gap nor a line twice."""
    return held == list(range(held[0], held[-1] + 1))


def test_a_million_lines_open_at_the_end_and_every_line_is_within_reach(visit, add_runbook, capsys):
    add_runbook("Million", script=MILLION, language="python")
    page = visit("alice")
    execute(page, "Million")
    expect(state(page)).to_have_text("succeeded", timeout=120_000)
    page.goto(page.url, wait_until="commit")
    expect(line(page, "line 1000000")).to_be_in_viewport()
    assert is_a_range(numbers(page))

    begun = time.monotonic()
    page.evaluate("location.hash = '#L500000'")
    expect(line(page, "line 500000")).to_be_in_viewport()
    with capsys.disabled():
        print(f"\nline 500,000 of a million: {1000 * (time.monotonic() - begun):.0f} ms")
    assert is_a_range(numbers(page))
    expect(page.locator("#L500000")).to_have_class(re.compile("log__line--marked"))

    page.get_by_role("searchbox", name="Search the output").fill("line 777777")
    expect(page.get_by_text("1 of 1", exact=True)).to_be_visible()
    expect(line(page, "line 777777")).to_be_in_viewport()

    page.get_by_role("log").press("Home")
    expect(line(page, "line 1")).to_be_in_viewport()
    page.get_by_role("log").press("End")
    expect(line(page, "line 1000000")).to_be_in_viewport()
    assert is_a_range(numbers(page))
    assert len(numbers(page)) <= 5000


def test_scrolling_up_loads_what_was_before_and_leaves_the_reader_where_they_are(visit, add_runbook):
    add_runbook("Earlier", script="seq -f 'line %g' 1 20000")
    page = visit("alice")
    execute(page, "Earlier")
    expect(state(page)).to_have_text("succeeded")
    page.reload()
    expect(line(page, "line 20000")).to_be_in_viewport()
    expect(lines(page)).to_have_count(500)
    page.get_by_role("log").hover()
    first = numbers(page)[0]
    while first > 15_500:
        top = first + 3
        page.locator(f"#L{top}").scroll_into_view_if_needed()
        expect(page.locator(f"#L{first - 1}")).to_be_attached()
        expect(line(page, f"line {top}")).to_be_in_viewport()
        first = page.evaluate("runbookweb.log.first")
    held = numbers(page)
    assert is_a_range(held)
    assert len(held) <= 5000
    # The far end has gone meanwhile, and comes back as one scrolls down.
    assert held[-1] < 20_000
    page.locator(f"#L{held[-1]}").scroll_into_view_if_needed()
    expect(page.locator(f"#L{held[-1] + 1}")).to_be_attached()
    assert is_a_range(numbers(page))


def test_each_part_that_is_out_of_sight_is_as_high_as_its_lines(visit, add_runbook):
    """Some browsers cannot read its height from an attribute: there would be nothing to scroll."""
    add_runbook("High", script="seq -f 'line %g' 1 20000")
    page = visit("alice")
    execute(page, "High")
    expect(state(page)).to_have_text("succeeded")
    page.goto(f"{page.url}#L10000")
    expect(line(page, "line 10000")).to_be_in_viewport()
    first = numbers(page)[0]
    page.locator(f"#L{first + 3}").scroll_into_view_if_needed()
    expect(page.locator(f"#L{first - 1}")).to_be_attached()
    told = page.locator(".log__chunk").evaluate_all(
        "(parts) => parts.map((part) => [part.style.getPropertyValue('--log-lines'), String(part.children.length)])"
    )
    assert len(told) > 1
    assert all(lines == rows for lines, rows in told)


def test_live_lines_join_on_without_a_gap_wherever_the_reader_is(visit, add_runbook, tmp_path: Path):
    add_runbook("Joined", requirements=FOLDER, script=BATCHES, language="python")
    page = visit("alice")
    execute(page, "Joined", FOLDER=tmp_path)
    expect(line(page, "line 3000")).to_be_in_viewport()
    page.get_by_role("log").press("Home")
    expect(line(page, "line 1")).to_be_in_viewport()
    page.evaluate("location.hash = '#L10'")
    expect(line(page, "line 10")).to_be_in_viewport()
    (tmp_path / "1").touch()
    follow = page.get_by_role("button", name="Jump to the end")
    expect(follow).to_contain_text("1 new line")
    assert is_a_range(numbers(page))
    follow.click()
    expect(line(page, "line 3001")).to_be_in_viewport()
    (tmp_path / "2").touch()
    expect(line(page, "line 3051")).to_be_in_viewport()
    assert is_a_range(numbers(page))
    expect(state(page)).to_have_text("succeeded")


def test_lines_that_cannot_be_loaded_are_asked_for_again(visit, add_runbook):
    add_runbook("Unlucky", script="seq -f 'line %g' 1 5000")
    page = visit("alice", allowed=["/lines/"])
    execute(page, "Unlucky")
    expect(state(page)).to_have_text("succeeded")
    page.goto(page.url)
    page.route("**/lines/**", lambda route: route.abort())
    page.get_by_role("log").press("Home")
    again = page.get_by_role("button", name="Try again")
    expect(again).to_be_visible()
    expect(line(page, "line 5000")).to_be_in_viewport()
    page.unroute("**/lines/**")
    again.click()
    expect(again).to_be_hidden()
    page.get_by_role("log").press("Home")
    expect(line(page, "line 1")).to_be_in_viewport()
