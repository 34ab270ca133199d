"""Each reader sees the log as they like it: times, wrapping, only stderr."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .pages import TICKING, execute, line, lines, state

pytestmark = pytest.mark.browser

MIXED = """\
for number in $(seq 1 1200); do
  if [ $((number % 100)) = 0 ]; then echo "error $number" >&2; sleep 0.02; else echo "line $number"; fi
done"""


@pytest.fixture
def log(visit, add_runbook) -> Page:
    """The page of a run that has printed 1200 lines, every hundredth to stderr."""
    add_runbook("Mixed", script=MIXED)
    page = visit("alice")
    execute(page, "Mixed")
    expect(state(page)).to_have_text("succeeded")
    page.reload()
    expect(page.locator("#L1200 .log__time")).to_be_visible()
    return page


def choose(page: Page, label: str) -> None:
    page.get_by_role("button", name="View").click()
    page.get_by_label(label).click()
    page.get_by_role("button", name="View").click()


def utc(page: Page, number: int) -> str:
    return page.locator(f"#L{number} time").get_attribute("datetime")


def test_times_are_on_the_readers_clock_and_exact_on_hover(log, browser, server):
    context = browser.new_context(
        base_url=server.url, timezone_id="Asia/Kolkata", storage_state=log.context.storage_state()
    )
    page = context.new_page()
    page.goto(log.url)
    expected = page.evaluate("(utc) => new Date(utc).toLocaleTimeString('en-GB')", utc(page, 1200))
    expect(page.locator("#L1200 time")).to_have_text(re.compile(f"^{expected}[.][0-9]{{3}}$"))
    page.locator("#L1200 time").hover()
    exact = utc(page, 1200).replace("T", " ").replace("Z", " UTC")
    expect(page.locator("#L1200 time")).to_have_attribute("title", re.compile(re.escape(exact)))
    context.close()


def test_times_since_the_start_or_none_are_remembered(log):
    choose(log, "Since the start")
    expect(log.locator("#L1200 time")).to_have_text(re.compile(r"^\+0:0[0-9][.][0-9]{3}$"))
    log.reload()
    expect(log.locator("#L1200 time")).to_have_text(re.compile(r"^\+0:"))
    choose(log, "None")
    expect(log.locator("#L1200 time")).to_be_hidden()
    log.reload()
    expect(line(log, "line 1199")).to_be_in_viewport()
    expect(log.locator("#L1200 time")).to_be_hidden()


def test_long_lines_wrap_or_scroll_sideways(visit, add_runbook):
    add_runbook("Long", script=f"echo {'long ' * 200}; echo end")
    page = visit("alice")
    execute(page, "Long")
    expect(state(page)).to_have_text("succeeded")
    log = page.get_by_role("log")
    is_wide = "(log) => log.scrollWidth > log.clientWidth"
    assert not log.evaluate(is_wide)
    choose(page, "Wrap long lines")
    assert log.evaluate(is_wide)
    assert page.locator("#L1").bounding_box()["height"] == page.locator("#L2").bounding_box()["height"]


def test_only_stderr_shows_all_of_it_and_says_that_the_rest_is_hidden(log):
    choose(log, "Only stderr")
    expect(lines(log)).to_have_text([f"error {number}" for number in range(100, 1201, 100)])
    log.get_by_role("button", name="Show all lines").click()
    expect(line(log, "line 1199")).to_be_in_viewport()


def test_only_stderr_and_back_leaves_the_reader_where_they_were(log):
    log.goto(f"{log.url}#L650")
    expect(line(log, "line 650")).to_be_in_viewport()
    top = log.evaluate("runbookweb.log.top()")
    choose(log, "Only stderr")
    expect(lines(log)).to_have_count(12)
    choose(log, "Only stderr")
    expect(line(log, "line 650")).to_be_in_viewport()
    assert abs(log.evaluate("runbookweb.log.top()") - top) <= 1


def test_an_address_of_another_line_ends_only_stderr(log):
    choose(log, "Only stderr")
    expect(lines(log)).to_have_count(12)
    log.evaluate("location.hash = '#L150'")
    expect(line(log, "line 150")).to_be_in_viewport()
    expect(log.get_by_text("Only stderr is shown")).to_be_hidden()


def test_only_stderr_goes_on_live_and_leaves_no_gap_behind(visit, add_runbook, tmp_path: Path):
    script = TICKING.replace("  sleep", '  [ $((n % 10)) = 0 ] && echo "error $n" >&2\n  sleep')
    add_runbook("Live-errors", requirements={"STOP": "the file that ends it"}, script=script)
    page = visit("alice")
    execute(page, "Live-errors", STOP=tmp_path / "stop")
    expect(lines(page).filter(has_text="error 10")).to_be_attached()
    choose(page, "Only stderr")
    expect(lines(page).filter(has_text="error 50")).to_be_attached()
    assert {text.split()[0] for text in lines(page).all_text_contents()} == {"error"}
    choose(page, "Only stderr")
    (tmp_path / "stop").touch()
    expect(state(page)).to_have_text("succeeded")
    expect(lines(page).filter(has_text=re.compile("^line 1$"))).to_be_attached()
    held = page.evaluate("[...document.querySelectorAll('.log__line')].map((row) => Number(row.id.slice(1)))")
    assert held == list(range(1, len(held) + 1))


def test_without_wrapping_the_number_stays_in_sight_however_far_one_reads_to_the_right(visit, add_runbook):
    add_runbook("Wide", script="printf '%01000d\\n' 7; echo error >&2")
    page = visit("alice")
    execute(page, "Wide")
    expect(state(page)).to_have_text("succeeded")
    choose(page, "Wrap")
    page.get_by_role("log").evaluate("(log) => { log.scrollLeft = 2000; }")
    expect(page.locator("#L1 .log__text")).to_be_in_viewport()
    for number in page.locator(".log__number").all():
        expect(number).to_be_in_viewport()
