"""Many windows of one browser: each is live while it is looked at, and together they hold up no page."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Error, Page, expect

from tests.processes import until

from .pages import TICKING, connection, execute, line, open_runbook, state

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


def test_a_place_that_is_left_is_taken_by_one_that_rests(ticking):
    windows = [ticking, *(another_window(ticking) for _ in range(MOST + 1))]
    for window in windows[:2]:
        expect(connection(window)).to_have_attribute("data-connection", "resting")
    windows[-1].close()
    crash(windows[-2])
    for window in windows[:-2]:
        expect(connection(window)).to_have_attribute("data-connection", "live")


def crash(page: Page) -> None:
    """Without a word to the other windows."""
    with page.expect_event("crash"), contextlib.suppress(Error):
        page.goto("chrome://crash")


def test_when_the_run_ends_the_windows_that_rest_show_it_too(ticking, tmp_path):
    windows = [ticking, *(another_window(ticking) for _ in range(MOST))]
    expect(connection(ticking)).to_have_attribute("data-connection", "resting")
    (tmp_path / "stop").touch()
    for window in windows:
        expect(connection(window)).to_contain_text("ended: succeeded")
        expect(state(window)).to_have_text("succeeded")


def test_keys_and_clicks_hide_no_dead_connection(ticking, server):
    """Each of them takes a turn, which is no word from the server."""
    expect(connection(ticking)).to_have_attribute("data-connection", "live")
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        words = connection(ticking).get_by_text("nothing heard for")
        until(lambda: ticking.keyboard.press("Shift") or words.is_visible(), seconds=30)
    finally:
        os.kill(server.process.pid, signal.SIGCONT)


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
