"""One form starts one run: however impatient the person, and whatever of the page's JavaScript has not arrived."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .pages import open_runbook, state

pytestmark = pytest.mark.browser

SEND_AT_ONCE = """async (times) => {
  const form = document.querySelector("#execute form");
  const send = () => fetch(form.action, {method: "POST", body: new URLSearchParams(new FormData(form))});
  return Promise.all(Array.from({length: times}, async () => (await send()).url));
}"""


@pytest.fixture
def open_form(visit, add_runbook: Callable[..., Path]) -> Callable[..., Page]:
    """Opens the form of a new runbook whose page has lost once.js on its way."""

    def open_form(name: str, **options: object) -> Page:
        add_runbook(name, requirements={"HOST": "{default: db-1}"})
        page = visit("alice", allowed=["once.js", "422"], **options)
        page.route("**/once*.js*", lambda route: route.abort())
        open_runbook(page, name)
        return page

    return open_form


def runs_of(page: Page, name: str) -> int:
    page.goto(f"/runs/?runbook={name}.md")
    expect(page.get_by_role("heading", name="Runs", level=1)).to_be_visible()
    return page.get_by_role("row").filter(has_text=name).count()


@pytest.mark.parametrize("javascript", [True, False])
def test_a_second_press_of_execute_starts_no_second_run_and_ends_on_the_page_of_the_first(open_form, javascript):
    """Each press in a tab of its own, for the browser itself drops the first of two in the same one."""
    name = f"Double-{javascript}".lower()
    page = open_form(name, javascript=javascript)
    tabs = []
    for _ in range(2):
        with page.context.expect_page() as opened:
            page.get_by_role("button", name="Execute").click(modifiers=["Control"])
        tabs.append(opened.value)
    for tab in tabs:
        expect(tab).to_have_url(re.compile(r"/runs/\d+/$"))
    assert tabs[0].url == tabs[1].url
    assert runs_of(page, name) == 1


def test_forms_that_arrive_at_the_same_moment_lead_to_the_same_run(open_form):
    page = open_form("At-once")
    pages = page.evaluate(SEND_AT_ONCE, 4)
    assert len(set(pages)) == 1
    assert re.search(r"/runs/\d+/$", pages[0])
    assert runs_of(page, "At-once") == 1


def test_a_changed_form_says_what_it_has_started_and_then_starts_another(open_form):
    page = open_form("Changed")
    (first,) = page.evaluate(SEND_AT_ONCE, 1)
    page.get_by_label("HOST", exact=True).fill("db-2")
    page.get_by_role("button", name="Execute").click()
    refusal = page.get_by_role("alert").filter(has_text="This form has started run #")
    expect(refusal.get_by_role("link")).to_have_attribute("href", re.sub("^.*(?=/runs/)", "", first))
    expect(page.get_by_label("HOST", exact=True)).to_have_value("db-2")
    page.get_by_role("button", name="Execute").click()
    expect(state(page)).to_be_visible()
    assert page.url != first
    expect(page.get_by_role("row", name="HOST db-2")).to_be_visible()


def test_a_page_that_comes_back_from_the_browsers_memory_starts_another_run(visit, add_runbook):
    """Chromium keeps no page for a test to go back to: the event is told to it as the browser would."""
    add_runbook("Back")
    page = visit("alice")
    open_runbook(page, "Back")
    page.evaluate(SEND_AT_ONCE, 1)
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    page.get_by_role("button", name="Execute").click()
    expect(state(page)).to_be_visible()
    assert runs_of(page, "Back") == 2
