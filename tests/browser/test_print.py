"""A run's page on paper: what was printed and what ran, and nothing that could be pressed."""

import pytest
from playwright.sync_api import expect

from .pages import connection, execute, lines, state

pytestmark = pytest.mark.browser

WHITE = "rgb(255, 255, 255)"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_run_is_printed_black_on_white_and_whole(visit, add_runbook, theme):
    add_runbook("On-paper", script="seq 1 200")
    page = visit("alice")
    number = execute(page, "On-paper")
    expect(state(page)).to_have_text("succeeded")
    page.emulate_media(media="print", color_scheme=theme)

    expect(page.get_by_role("navigation", name="Pages")).to_be_hidden()
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()
    expect(page.get_by_role("heading", name=f"On-paper #{number}")).to_be_visible()
    expect(page.get_by_role("heading", name="Output")).to_be_visible()
    expect(connection(page)).to_be_hidden()
    expect(page.get_by_role("button", name="View")).to_be_hidden()
    log = page.get_by_role("log")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == WHITE
    assert log.evaluate("log => log.scrollHeight <= log.clientHeight + 1"), "a box on paper does not scroll"
    expect(lines(page)).to_have_count(200)
    assert page.pdf().startswith(b"%PDF")


def test_lines_that_nobody_has_seen_are_printed_with_their_times(visit, add_runbook):
    add_runbook("Far-from-the-screen", script="seq 1 1200")
    page = visit("alice")
    execute(page, "Far-from-the-screen")
    expect(state(page)).to_have_text("succeeded")
    page.reload()
    unseen = page.locator(".log__chunk:not([data-times])")
    page.get_by_role("log").press("Home")
    expect(page.locator("#L1 .log__time")).to_be_visible()
    log = page.get_by_role("log")
    log.evaluate("log => { log.scrollTop = log.scrollHeight - log.clientHeight - 1500; }")  # the next ones are loaded
    expect(unseen).not_to_have_count(0)
    page.pdf()
    expect(unseen).to_have_count(0)


@pytest.mark.parametrize("address", ["/runbooks/Hello.md/", "/runs/", "/usage/"])
def test_other_pages_are_printed_without_the_frame(visit, address):
    page = visit("alice")
    page.goto(address)
    page.emulate_media(media="print")
    expect(page.get_by_role("navigation", name="Pages")).to_be_hidden()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
