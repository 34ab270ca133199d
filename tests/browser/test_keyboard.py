"""The whole journey by keyboard alone: where one is can always be seen, and is never lost."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from .pages import TICKING, arrive, line, open_runbook, state

pytestmark = pytest.mark.browser

FAR = 40  # presses of Tab: who needs more would reach for the mouse
# The frame around a field may be what is marked.
SEEN = """element => {
    const isMarked = (style) => style.outlineStyle !== "none" || style.boxShadow !== "none";
    const box = element.getBoundingClientRect();
    return element.matches(":focus-visible") && box.bottom > 0 && box.top < innerHeight
        && [element, element.parentElement].some((one) => isMarked(getComputedStyle(one)));
}"""
IS_FOCUSED = "element => element === document.activeElement"


def reach(page: Page, wanted: Locator, *, key: str = "Tab") -> None:
    """Press Tab until the element has the focus; it must be seen to have it."""
    expect(wanted).to_be_visible()
    page.wait_for_load_state()
    for _ in range(FAR):
        page.keyboard.press(key)
        if wanted.evaluate(IS_FOCUSED):
            assert wanted.evaluate(SEEN), f"that it has the focus cannot be seen: {wanted}"
            return
    pytest.fail(f"{key} does not lead to {wanted} in {FAR} steps")


def fill(page: Page, label: str, text: str) -> None:
    reach(page, page.get_by_label(label, exact=True))
    page.keyboard.type(text)


def press(page: Page, role: str, name: str, *, key: str = "Enter") -> None:
    reach(page, page.get_by_role(role, name=name, exact=True))
    page.keyboard.press(key)


def test_the_whole_journey_needs_no_mouse(visit, add_runbook, tmp_path: Path):
    add_runbook("By-keyboard", requirements={"STOP": "the file that ends it"}, script=TICKING)
    page = visit()
    page.goto("/runbooks/")
    fill(page, "Subject", "alice")
    fill(page, "Roles", "sre")
    press(page, "button", "Sign in")

    search = page.get_by_role("searchbox", name="Search runbooks")
    reach(page, search)
    page.keyboard.type("by-key")
    expect(page.get_by_role("link", name="Hello", exact=True)).to_have_count(0)
    expect(search).to_be_focused()
    press(page, "link", "By-keyboard")
    fill(page, "STOP", str(tmp_path / "never"))
    press(page, "button", "Execute")
    arrive(page, re.compile(r"/runs/\d+/$"))
    expect(line(page, "line 3")).to_be_visible()

    press(page, "button", "Pin", key="Space")
    expect(page.get_by_role("button", name="Pinned")).to_be_focused()
    find = page.get_by_role("searchbox", name="Search the output")
    reach(page, find)
    page.keyboard.type("line 2")
    page.keyboard.press("Enter")
    expect(page.locator("[data-log-hits]")).to_contain_text(re.compile(r"\d"))
    expect(find).to_be_focused()

    cancel = page.get_by_role("button", name="Cancel", exact=True)
    reach(page, cancel, key="Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Let it go on")).to_be_focused()
    page.keyboard.press("Escape")
    expect(cancel).to_be_focused()
    page.keyboard.press("Enter")
    press(page, "button", "End the script")
    expect(page.locator("#run-state")).to_be_focused()
    expect(state(page)).to_have_text("cancelled")
    expect(find).to_have_value("line 2")

    number = page.url.rstrip("/").rpartition("/")[2]
    press(page, "link", "Runs")
    reach(page, page.get_by_role("link", name=f"#{number}").first)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"/runs/{number}/$"))


def test_the_first_stop_skips_the_frame(visit):
    page = visit("alice")
    page.goto("/runs/")
    skip = page.get_by_role("link", name="Skip to the content")
    reach(page, skip)
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")


def test_a_long_log_is_one_stop_and_not_hundreds(visit, add_runbook):
    add_runbook("Long-to-tab", script="seq 1 450")
    page = visit("alice")
    open_runbook(page, "Long-to-tab")
    page.get_by_role("button", name="Execute").click()
    expect(state(page)).to_have_text("succeeded")
    reach(page, page.get_by_role("log"))
    for _ in range(3):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('[role=log]') === null")


def test_a_star_keeps_the_focus_when_it_is_pressed(visit):
    page = visit("alice")
    star = page.get_by_role("button", name="Favourite: Hello")
    reach(page, star)
    page.keyboard.press("Enter")
    expect(star.first).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("document.activeElement !== document.body")
