"""On a bad network nothing is done twice, nothing is dead for ever, and what the page says is true."""

import re

import pytest
from playwright.sync_api import APIResponse, Locator, Page, Route, expect

from tests.processes import until

from .pages import TICKING, cancel, connection, execute, line, open_runbook, state

pytestmark = pytest.mark.browser

STOP = {"STOP": "the file that ends it"}
# The browser's Stop ends the sending of a form, and tells the page nothing.
STOP_ONCE = """document.querySelector("[data-once]").addEventListener("submit", (event) => event.preventDefault(), {
  once: true,
});"""
FAILING = ("Failed to load resource", "htmx")


def trouble(page: Page) -> Locator:
    return page.locator("[data-trouble]")


def go_offline(page: Page, *, is_offline: bool) -> None:
    page.context.set_offline(is_offline)


def test_a_press_whose_answer_is_long_in_coming_says_so(visit, add_runbook, tmp_path):
    add_runbook("Slowly", requirements=STOP, script=TICKING)
    page = visit("alice")
    execute(page, "Slowly", STOP=tmp_path / "stop")
    held: list[Route] = []
    page.route("**/cancellation/", lambda route: held.append(route))
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="End the script").click()
    expect(trouble(page)).to_contain_text("No answer yet")
    held[0].continue_()
    expect(state(page)).to_have_text("cancelled")
    expect(trouble(page)).to_be_empty()


def test_an_answer_that_the_end_has_overtaken_changes_nothing(visit, add_runbook, tmp_path):
    slow = "trap 'until [ -e \"$STOP\" ]; do sleep 0.05; done; exit 3' TERM; echo begun; while :; do sleep 0.05; done"
    add_runbook("Overtaken", requirements=STOP, script=slow)
    page = visit("alice")
    execute(page, "Overtaken", STOP=tmp_path / "stop")
    expect(line(page, "begun")).to_be_visible()
    held: list[tuple[Route, APIResponse]] = []
    page.route("**/cancellation/", lambda route: held.append((route, route.fetch())))
    cancel(page)
    expect(page.get_by_text("alice asked to end it.")).to_be_visible()
    (tmp_path / "stop").touch()
    expect(state(page)).to_have_text("cancelled")
    (route, answer), *_ = held
    assert 'data-active="true"' in answer.text()
    with page.expect_event("requestfinished"):
        route.fulfill(response=answer)
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    expect(state(page)).to_have_text("cancelled")


def test_what_could_not_be_reached_is_forgotten_when_the_network_is_back(visit):
    page = visit("alice", allowed=FAILING)
    page.goto("/runbooks/")
    go_offline(page, is_offline=True)
    page.get_by_role("searchbox", name="Search runbooks").press_sequentially("hello")
    expect(trouble(page)).to_contain_text("cannot be reached")
    go_offline(page, is_offline=False)
    expect(trouble(page)).to_be_empty()


def test_what_is_typed_before_the_scripts_come_is_searched_for(visit, add_runbook):
    add_runbook("Early-bird")
    page = visit("alice")
    held: list[Route] = []
    page.route("**/*.js*", lambda route: held.append(route) if held is not None else route.continue_())
    page.goto("/runbooks/", wait_until="commit")
    page.get_by_role("searchbox", name="Search runbooks").fill("early-b")
    expect(page.get_by_role("link", name="Hello", exact=True)).to_be_visible()
    held, scripts = None, held
    for route in scripts:
        route.continue_()
    expect(page.get_by_role("status").filter(has_text="1 runbook with “early-b”")).to_be_visible()
    expect(page.get_by_role("link", name="Hello", exact=True)).to_have_count(0)


def test_a_page_whose_scripts_do_not_come_says_that_it_is_not_live(visit, add_runbook, tmp_path):
    add_runbook("Scriptless", requirements=STOP, script=TICKING)
    page = visit("alice", allowed=FAILING)
    page.route("**/run-page.js*", lambda route: route.abort())
    execute(page, "Scriptless", STOP=tmp_path / "stop")
    expect(connection(page)).to_contain_text(
        "as of when this page was opened: reload it to see more", use_inner_text=True
    )
    until(lambda: page.reload() and line(page, "line 1").is_visible())
    (tmp_path / "stop").touch()


def test_a_stream_that_hangs_before_it_begins_is_tried_again(visit, add_runbook, tmp_path):
    add_runbook("Hanging", requirements=STOP, script=TICKING)
    page = visit("alice", allowed=FAILING)
    held: list[Route] = []
    page.route("**/events/*", lambda route: held.append(route))
    execute(page, "Hanging", STOP=tmp_path / "stop")
    expect(connection(page)).to_contain_text(re.compile(r"connecting · for \d+ s"))
    page.clock.install()
    page.clock.run_for(20_000)
    expect(connection(page)).to_contain_text("connection lost")
    page.unroute("**/events/*")
    page.clock.run_for(6000)
    expect(connection(page)).to_have_attribute("data-connection", "live")
    (tmp_path / "stop").touch()
    expect(state(page)).to_have_text("succeeded")


def test_after_the_browsers_stop_execute_works_again(visit, add_runbook):
    add_runbook("Stopped")
    page = visit("alice")
    open_runbook(page, "Stopped")
    page.evaluate(STOP_ONCE)
    button = page.get_by_role("button", name="Execute")
    button.click()
    expect(button).to_be_disabled()
    expect(button).to_be_enabled()
    button.click()
    expect(state(page)).to_have_text("succeeded")


def test_a_lost_answer_leads_to_no_second_run(visit, add_runbook, tmp_path):
    add_runbook("Tunnel", requirements=STOP, script=TICKING)
    page = visit("alice", allowed=FAILING)
    open_runbook(page, "Tunnel")
    page.get_by_label("STOP", exact=True).fill(str(tmp_path / "stop"))
    page.route("**/runs/", lose_answer)
    page.get_by_role("button", name="Execute").click()
    page.wait_for_url("chrome-error://**")
    page.unroute("**/runs/")
    page.goto("/runbooks/Tunnel.md/")
    told = page.get_by_role("region", name="Execute").get_by_text(re.compile(r"Your run #\d+, "))
    told.get_by_role("link").click()
    expect(line(page, "line 1")).to_be_visible()
    (tmp_path / "stop").touch()


def lose_answer(route: Route) -> None:
    assert route.fetch(max_redirects=0).status == 302
    route.abort("connectionreset")


def test_a_page_that_comes_back_without_an_answer_keeps_its_key(visit, add_runbook):
    """Chromium keeps no page for a test to go back to: the event is told to it as the browser would."""
    add_runbook("Kept-key")
    page = visit("alice")
    open_runbook(page, "Kept-key")
    key = page.locator("[data-once-key]")
    before = key.input_value()
    page.evaluate(STOP_ONCE)
    page.get_by_role("button", name="Execute").click()
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    assert key.input_value() == before != ""


def test_the_doctor_blames_no_proxy_when_there_is_no_network(visit):
    page = visit("alice", allowed=(*FAILING, "WebSocket"))
    page.goto("/doctor/")
    summary = page.get_by_role("status").first
    expect(summary).to_contain_text("Nothing has to be changed")
    go_offline(page, is_offline=True)
    page.get_by_role("button", name="Measure again").click()
    expect(summary).to_contain_text(re.compile(r"Nothing to change was found, .*\d could not be measured"))
    expect(page.get_by_text("The server could not be reached. Is this device offline?").first).to_be_visible()
