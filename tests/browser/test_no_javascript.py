"""Everything without JavaScript, less the liveness: plain forms and links from the sign-in to the comparison."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .pages import TICKING, execute, fact, line, lines, open_runbook, state

pytestmark = pytest.mark.browser


@pytest.fixture
def page(visit: Callable[..., Page]) -> Page:
    return visit("alice", "sre", javascript=False)


def refresh_until(page: Page, condition: Callable[[], bool]) -> None:
    """Load the page again, as somebody without JavaScript does, until the condition is true."""
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, f"still {state(page).inner_text()}"
        page.reload()


def ended(page: Page, name: str, **values: str) -> int:
    number = execute(page, name, **values)
    refresh_until(page, lambda: state(page).inner_text() in ("succeeded", "failed"))
    return number


def test_a_runbook_is_found_and_made_a_favourite(page):
    page.get_by_role("searchbox", name="Search runbooks").fill("greets")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_role("link", name="Disk-usage-report", exact=True)).to_have_count(0)
    page.get_by_role("button", name="Favourite: Hello").click()
    page.goto("/runbooks/")
    expect(page.get_by_role("button", name="Favourite: Hello").first).to_have_attribute("aria-pressed", "true")


def test_a_run_is_watched_by_looking_again_and_cancelled(page, add_runbook, tmp_path: Path):
    add_runbook("Plainly", requirements={"STOP": "the file that ends it"}, script=TICKING)
    execute(page, "Plainly", STOP=str(tmp_path / "never"))
    refresh_until(page, lambda: lines(page).count() >= 5)
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="End the script").click()
    refresh_until(page, lambda: state(page).inner_text() == "cancelled")
    expect(fact(page, "Cancelled by")).to_have_text("alice")


def test_wrong_values_are_explained(visit, add_runbook):
    add_runbook("Numbers", requirements={"COUNT": "{description: how many, type: number, pattern: '[0-9]+'}"})
    page = visit("alice", javascript=False, allowed=["422"])
    open_runbook(page, "Numbers")
    page.get_by_label("COUNT", exact=True).fill("-1")
    page.get_by_role("button", name="Execute").click()
    expect(page.get_by_role("alert").first).to_contain_text("Nothing was started.")
    expect(page.get_by_label("COUNT", exact=True)).to_have_value("-1")


def test_a_long_log_is_searched_and_read_line_by_line(page, add_runbook):
    add_runbook("Two-thousand", script='seq 1 2000 | sed "s/^/entry /"')
    number = ended(page, "Two-thousand")
    expect(line(page, "entry 2000")).to_be_visible()
    page.get_by_role("searchbox", name="Search the output").fill("entry 777")
    page.keyboard.press("Enter")
    page.get_by_role("link", name=re.compile("777")).first.click()
    expect(page).to_have_url(re.compile(rf"/runs/{number}/\?.*line=777"))
    expect(line(page, "entry 777")).to_be_visible()


def test_a_run_is_noted_and_pinned(page):
    ended(page, "Hello")
    page.get_by_text("Add a note").click()
    page.get_by_label("Note for whoever looks at this run later").fill("all good <b>now</b>")
    page.get_by_role("button", name="Save the note").click()
    expect(page.get_by_text("all good <b>now</b>", exact=True).first).to_be_visible()
    page.get_by_role("button", name="Pin", exact=True).click()
    expect(page.get_by_role("button", name="Pinned")).to_be_visible()


def test_runs_are_filtered_and_compared(page):
    first, second = ended(page, "Hello", NAME="one"), ended(page, "Hello", NAME="two")
    page.get_by_role("link", name="Runs", exact=True).click()
    page.get_by_text("More filters").click()
    page.get_by_role("group", name="State").get_by_label("failed").check()
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("link", name=f"#{second}", exact=True)).to_have_count(0)
    page.goto(f"/runs/compare/?a={first}&b={second}")
    expect(page.get_by_role("main")).to_contain_text("Hello, one!")
    expect(page.get_by_role("main")).to_contain_text("Hello, two!")


@pytest.mark.parametrize(("name", "heading"), [("Usage", "Usage"), ("Configuration", "Configuration")])
def test_the_other_pages_say_something(page, name, heading):
    page.get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible()


def test_the_sign_out_needs_none(page):
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Subject")).to_be_visible()
