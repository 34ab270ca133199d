"""Many windows of one browser: each is live while it is looked at, and together they hold up no page."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .pages import TICKING, connection, execute, line, open_runbook

pytestmark = pytest.mark.browser

STOP = {"STOP": "the file that ends it"}
MOST = 4  # that have a stream; a browser opens six connections to a server, and pages need some too
BORN_HIDDEN = """
Object.defineProperty(document, "hidden", { configurable: true, get: () => !window.isShown });
Object.defineProperty(document, "visibilityState", { get: () => window.isShown ? "visible" : "hidden" });
"""
SHOW = "window.isShown = true; document.dispatchEvent(new Event('visibilitychange'))"


@pytest.fixture
def ticking(visit, add_runbook, tmp_path: Path) -> Iterator[Page]:
    """The page of a run that prints until the test is over."""
    add_runbook("Many-windows", requirements=STOP, script=TICKING)
    page = visit("alice")
    execute(page, "Many-windows", STOP=tmp_path / "stop")
    yield page
    (tmp_path / "stop").touch()


def another_window(page: Page) -> Page:
    window = page.context.new_page()
    window.goto(page.url)
    expect(connection(window)).to_have_attribute("data-connection", "live")
    return window


def test_of_many_windows_those_that_were_looked_at_last_are_live_and_no_page_waits(ticking):
    windows = [ticking, *(another_window(ticking) for _ in range(7))]
    for window in windows[:-MOST]:
        expect(connection(window)).to_contain_text("paused while other windows are live: click here to go on")
    for window in windows[-MOST:]:
        expect(connection(window)).to_have_attribute("data-connection", "live")
    open_runbook(windows[1], "Many-windows")

    ticking.get_by_role("log").click()
    expect(connection(ticking)).to_have_attribute("data-connection", "live")
    expect(connection(windows[-MOST])).to_have_attribute("data-connection", "resting")
    shown = ticking.get_by_role("log").locator(".log__text").all_text_contents()
    assert shown == [f"line {number}" for number in range(1, len(shown) + 1)]


def test_a_window_that_is_closed_leaves_its_place(ticking):
    windows = [ticking, *(another_window(ticking) for _ in range(MOST - 1))]
    windows[1].close()
    another_window(ticking)
    expect(connection(ticking)).to_have_attribute("data-connection", "live")


def test_a_tab_that_was_opened_in_the_background_begins_when_it_is_looked_at(ticking):
    tab = ticking.context.new_page()
    tab.add_init_script(BORN_HIDDEN)
    asked = []
    tab.on("request", lambda request: asked.append(request.url) if "/events/" in request.url else None)
    tab.goto(ticking.url)
    expect(connection(tab)).to_have_attribute("data-connection", "resting")
    expect(line(ticking, "line 40")).to_be_attached()
    assert asked == []
    tab.evaluate(SHOW)
    expect(connection(tab)).to_have_attribute("data-connection", "live")
    expect(line(tab, "line 40")).to_be_attached()
