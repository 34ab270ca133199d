"""A line or a range of the log has an address, and can be copied as the script printed it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.processes import until

from .pages import execute, line, state

pytestmark = pytest.mark.browser

SCROLL = "(by) => { document.querySelector('[role=log]').scrollTop += by; }"
# As in a browser that keeps no place by itself.
NO_ANCHORS = "() => { document.querySelector('[role=log]').style.overflowAnchor = 'none'; }"
MARKED = ".log__line--marked .log__text"


@pytest.fixture
def log(visit, add_runbook) -> Page:
    """The page of a run that has printed 3000 lines."""
    add_runbook("Lines", script="seq -f 'line %g' 1 3000")
    page = visit("alice")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    execute(page, "Lines")
    expect(state(page)).to_have_text("succeeded")
    expect(line(page, "line 3000")).to_be_in_viewport()
    return page


def number(page: Page, line: int) -> Locator:
    return page.get_by_role("log").get_by_role("link", name=str(line), exact=True)


def test_an_address_with_a_range_opens_around_it(log):
    log.goto(f"{log.url}#L120-L122")
    expect(line(log, "line 120")).to_be_in_viewport()
    expect(log.locator(MARKED)).to_have_text(["line 120", "line 121", "line 122"])
    expect(log.get_by_role("group", name="Chosen lines")).to_contain_text("Lines 120\N{EN DASH}122")
    expect(log.get_by_role("button", name="Jump to the end")).to_be_visible()


@pytest.mark.parametrize(
    ("asked", "shown"), [("#L0", "#L1"), ("#L1-L0", "#L1"), ("#L2999-L9999", "#L2999-L3000"), ("#L9999", "#L3000")]
)
def test_an_address_of_lines_that_are_not_there_becomes_that_of_the_nearest(log, asked, shown):
    log.reload()
    log.goto(f"{log.url}{asked}")
    expect(log).to_have_url(re.compile(f"{shown}$"))
    first = shown.removeprefix("#L").partition("-")[0]
    expect(log.locator(MARKED).first).to_have_text(f"line {first}")


def test_a_press_on_a_number_chooses_a_line_and_with_shift_a_range(log):
    number(log, 2990).click()
    expect(log).to_have_url(re.compile("#L2990$"))
    number(log, 2987).click(modifiers=["Shift"])
    expect(log).to_have_url(re.compile("#L2987-L2990$"))
    log.reload()
    expect(log.locator(MARKED)).to_have_text([f"line {number}" for number in range(2987, 2991)])
    log.get_by_role("button", name="Choose no lines").click()
    expect(log).to_have_url(re.compile("/$"))
    expect(log.locator(MARKED)).to_have_count(0)
    expect(log.get_by_role("log")).to_be_focused()


def test_the_chosen_lines_and_the_link_to_them_are_copied(log):
    log.goto(f"{log.url}#L10-L12")
    chosen = log.get_by_role("group", name="Chosen lines")
    chosen.get_by_role("button", name="Copy lines").click()
    expect(chosen.get_by_text("Lines copied")).to_be_visible()
    assert log.evaluate("navigator.clipboard.readText()") == "line 10\nline 11\nline 12\n"
    chosen.get_by_role("button", name="Link").click()
    expect(chosen.get_by_text("Link copied")).to_be_visible()
    assert log.evaluate("navigator.clipboard.readText()") == log.url


def test_they_are_copied_too_where_the_browser_gives_no_clipboard(log):
    log.add_init_script("delete Navigator.prototype.clipboard")
    log.reload()
    log.goto(f"{log.url}#L10-L12")
    chosen = log.get_by_role("group", name="Chosen lines")
    copy = chosen.get_by_role("button", name="Copy lines")
    copy.click()
    expect(chosen.get_by_text("Lines copied")).to_be_visible()
    expect(copy).to_be_focused()
    field = log.get_by_role("searchbox", name="Search the output")
    field.press("Control+V")
    expect(field).to_have_value(re.compile("^line 10 line 11 line 12"))


def test_the_view_menu_goes_to_a_line_by_keyboard_alone(log):
    log.get_by_role("button", name="View").press("Enter")
    log.get_by_label("Go to line").fill("42")
    log.keyboard.press("Enter")
    expect(line(log, "line 42")).to_be_in_viewport()
    expect(log).to_have_url(re.compile("#L42$"))
    expect(log.get_by_role("log")).to_be_focused()
    log.keyboard.press("Escape")
    expect(log.locator(MARKED)).to_have_count(0)


def test_the_keys_of_the_log_leave_other_fields_alone(log):
    log.get_by_role("log").press("/")
    field = log.get_by_role("searchbox", name="Search the output")
    expect(field).to_be_focused()
    log.keyboard.type("/n End")
    expect(field).to_have_value("/n End")
    log.keyboard.press("Escape")
    expect(field).to_have_value("")
    expect(log.get_by_role("log")).to_be_focused()


@pytest.fixture
def growing(visit, add_runbook, tmp_path) -> Iterator[tuple[Page, Path]]:
    """The page of a run that has printed 9,990 lines of all lengths, and the file after which it prints 20 more."""
    more = tmp_path / "more"
    each = 'printf "line %d %0$((n % 150 + 1))d\\n" "$n" 0'
    script = f"""for n in $(seq 9990); do {each}; done
until [ -e "$MORE" ]; do sleep 0.05; done
for n in $(seq 9991 10010); do {each}; done"""
    add_runbook("Growing", requirements={"MORE": "the file after which it goes on"}, script=script)
    page = visit("alice")
    execute(page, "Growing", MORE=more)
    expect(number(page, 9990)).to_be_visible()
    yield page, more
    more.touch()


def width(number: Locator) -> float:
    return number.bounding_box()["width"]


def start(page: Page, line: int) -> float:
    """Where the text of this line starts."""
    return page.locator(f"#L{line} .log__text").bounding_box()["x"]


def scrolled(page: Page, line: int) -> float:
    """How far this line is below the upper edge of the log."""
    return page.locator(f"#L{line}").bounding_box()["y"] - page.get_by_role("log").bounding_box()["y"]


@pytest.mark.parametrize("window", [1280, 390])
def test_the_numbers_get_the_room_of_another_digit_while_the_log_grows(growing, window):
    page, more = growing
    page.set_viewport_size({"width": window, "height": 900})
    was = width(number(page, 9990))
    more.touch()
    expect(number(page, 10010)).to_be_visible()
    last = number(page, 10010)
    assert was < width(last) < was * 1.5
    assert last.evaluate("(link) => link.scrollWidth <= link.clientWidth")
    assert start(page, 9995) == start(page, 10010)


def test_what_somebody_reads_above_stays_where_it_is_then(growing):
    page, more = growing
    page.set_viewport_size({"width": 390, "height": 900})
    page.get_by_role("log").press("Home")
    expect(number(page, 1)).to_be_in_viewport()
    # The first line that is seen: those below it get more rows as their text gets less room.
    until(lambda: abs(scrolled(page, 140)) < 2 or page.evaluate(SCROLL, scrolled(page, 140)))
    page.evaluate(NO_ANCHORS)
    was, place = width(number(page, 140)), scrolled(page, 140)
    more.touch()
    until(lambda: width(number(page, 140)) > was)
    assert abs(scrolled(page, 140) - place) <= 1


def test_without_javascript_each_line_is_within_reach_by_links(log, visit):
    page = visit("alice", javascript=False)
    page.goto(log.url)
    expect(line(page, "line 3000")).to_be_attached()
    page.get_by_role("link", name="2,500 lines before these").click()
    expect(line(page, "line 2400")).to_be_attached()
    page.get_by_role("button", name="View").click()
    page.get_by_label("Go to line").fill("77")
    page.get_by_role("button", name="Go", exact=True).click()
    expect(page).to_have_url(re.compile(r"\?line=77$"))
    expect(line(page, "line 77")).to_be_attached()
    page.get_by_role("link", name="The end of the log").click()
    expect(line(page, "line 3000")).to_be_attached()
