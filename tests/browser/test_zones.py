"""Times on the viewer's own clock: on the first page, on the next, and in what a stream brings."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .pages import TICKING, execute, fact, line, state

pytestmark = pytest.mark.browser

COOKIE = "runbookweb_zone"
HERE = "UTC+9:30"
EXACT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC")


@pytest.fixture
def visit_from_darwin(visit: Callable[..., Page]) -> Callable[..., Page]:
    def open_page(*who: str, **options: object) -> Page:
        page = visit(*who, **options)
        session = page.context.new_cdp_session(page)
        session.send("Emulation.setTimezoneOverride", {"timezoneId": "Australia/Darwin"})
        page.context.clear_cookies(name=COOKIE)
        return page

    return open_page


def test_the_first_page_is_right_and_the_next_comes_right(visit_from_darwin):
    page = visit_from_darwin("alice")
    number = execute(page, "Hello")
    page.context.clear_cookies(name=COOKIE)
    page.reload()
    started = fact(page, "Started").first.locator("time")
    expect(started).to_contain_text(HERE)
    expect(started).to_have_attribute("title", EXACT)
    shown = started.inner_text()
    # The server has been told; its own words are the same.
    told = {cookie["name"]: cookie for cookie in page.context.cookies()}[COOKIE]
    assert (told["value"], told["sameSite"], told["secure"]) == ("Australia/Darwin", "Lax", False)
    answer = page.request.get(f"/runs/{number}/").text()
    assert shown.removesuffix(f" {HERE}") in answer
    assert HERE in answer


def test_what_a_stream_brings_is_right_as_well(visit_from_darwin, add_runbook, tmp_path: Path):
    add_runbook("Zoned", requirements={"STOP": "the file that ends it"}, script=TICKING)
    page = visit_from_darwin("alice")
    execute(page, "Zoned", STOP=tmp_path / "stop")
    expect(line(page, "line 2")).to_be_visible()
    expect(fact(page, "Started").first.locator("time")).to_contain_text(HERE)
    (tmp_path / "stop").touch()
    expect(state(page)).to_have_text("succeeded")
    expect(fact(page, "Started").first.locator("time")).to_contain_text(HERE)


def test_without_javascript_times_are_utc_and_say_so(visit_from_darwin):
    page = visit_from_darwin("alice", javascript=False)
    execute(page, "Hello")
    expect(page.locator("time[data-moment]").first).to_have_text(EXACT)
