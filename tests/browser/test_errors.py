"""What goes wrong is said in words, and the way back leads to the very place."""

import re

import pytest
from playwright.sync_api import Page, expect

from .pages import execute, line, open_runbook, state

pytestmark = pytest.mark.browser

SESSION = "runbookweb_session"


def sign_in_here(page: Page) -> None:
    """Sign in on the page that one has been led to."""
    expect(page.get_by_label("Subject")).to_be_visible()
    page.wait_for_load_state()
    page.get_by_label("Subject").fill("alice")
    page.get_by_role("button", name="Sign in").click()


def test_the_sign_in_leads_back_to_the_line_that_a_link_points_to(visit, server):
    number = execute(page := visit("alice"), "Hello")
    expect(state(page)).to_have_text("succeeded")
    page.context.clear_cookies(name=SESSION)
    page.goto("about:blank")
    page.goto(f"/runs/{number}/?line=3#L3")
    sign_in_here(page)
    expect(page).to_have_url(re.compile(rf"/runs/{number}/\?line=3#L3$"))
    expect(line(page, "Hello, world!")).to_be_visible()


def test_an_encoded_line_in_the_way_back_is_come_back_to(visit):
    number = execute(page := visit("alice"), "Hello")
    expect(state(page)).to_have_text("succeeded")
    page.context.clear_cookies(name=SESSION)
    page.goto(f"/login/?next=/runs/{number}/%23L5")
    sign_in_here(page)
    expect(page).to_have_url(re.compile(rf"/runs/{number}/#L5$"))


def test_a_lost_session_leads_back_to_the_page_that_asked(visit):
    page = visit("alice")
    page.goto("/runbooks/?q=hello")
    page.context.clear_cookies(name=SESSION)
    page.get_by_role("searchbox", name="Search runbooks").press_sequentially("x")
    expect(page.get_by_label("Subject")).to_be_visible()
    sign_in_here(page)
    expect(page).to_have_url(re.compile(r"/runbooks/\?q=hello"))


def test_a_form_that_was_sent_without_a_session_leads_back_to_its_page(visit):
    page = visit("alice", allowed=["403"])
    open_runbook(page, "Hello")
    form = page.url
    page.context.clear_cookies(name=SESSION)
    page.get_by_role("button", name="Execute").click()
    sign_in_here(page)
    expect(page).to_have_url(form)


def test_what_is_missing_can_be_searched_for(visit):
    page = visit("alice", allowed=["404"])
    page.goto("/runbooks/ello.md/")
    expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()
    expect(page.get_by_role("searchbox", name="Search runbooks")).to_have_value("ello")
    page.get_by_role("button", name="Search runbooks").click()
    expect(page.get_by_role("link", name="Hello", exact=True)).to_be_visible()


def test_an_address_that_only_does_something_says_so(visit):
    page = visit("alice", allowed=["405"])
    page.goto("/logout/")
    expect(page.get_by_role("heading", name="This address only does something")).to_be_visible()
    expect(page.get_by_title("Signed in as alice")).to_be_visible()


def test_a_part_that_cannot_be_loaded_says_so(visit):
    page = visit("alice", allowed=["Failed to load resource", "htmx"])
    page.goto("/runbooks/")
    page.route("**/runbooks/?q=*", lambda route: route.fulfill(status=503, body="not now"))
    search = page.get_by_role("searchbox", name="Search runbooks")
    search.press_sequentially("hello")
    expect(page.locator("[data-trouble]")).to_contain_text("it answered 503")
    page.unroute("**/runbooks/?q=*")
    search.press("Backspace")
    expect(page.locator("[data-trouble]")).to_have_text("")


def test_a_server_that_is_gone_is_said(visit):
    page = visit("alice", allowed=["Failed to load resource", "htmx"])
    page.goto("/runbooks/")
    page.route("**/runbooks/?q=*", lambda route: route.abort())
    page.get_by_role("searchbox", name="Search runbooks").press_sequentially("hello")
    expect(page.locator("[data-trouble]")).to_contain_text("cannot be reached")
