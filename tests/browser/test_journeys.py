"""Whole journeys of one person: read, fill in, execute, watch, cancel; with JavaScript and without."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .pages import TICKING, cancel, execute, fact, line, lines, open_runbook, sign_in, state

pytestmark = pytest.mark.browser

STOP = {"STOP": "the file that ends it"}


@pytest.fixture
def stop(tmp_path: Path) -> Path:
    return tmp_path / "stop"


def test_the_quick_buttons_fill_in_the_roles_of_the_sign_in(visit):
    page = visit()
    page.goto("/runs/")
    page.get_by_label("Subject").fill("alice")
    page.get_by_role("button", name="sre").click()
    expect(page.get_by_label("Roles")).to_have_value("sre")
    expect(page.get_by_role("button", name="sre")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Runs", level=1)).to_be_visible()
    expect(page.get_by_title("Signed in as alice")).to_be_visible()


def test_the_search_narrows_the_list_while_one_types(visit, add_runbook):
    add_runbook("Rotate-keys")
    page = visit("alice")
    hello = page.get_by_role("link", name="Hello", exact=True)
    expect(hello).to_be_visible()
    page.wait_for_load_state()
    page.get_by_role("searchbox", name="Search runbooks").press_sequentially("rotate")
    expect(hello).to_have_count(0)
    expect(page.get_by_role("link", name="Rotate-keys", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile(r"q=rotate"))


def test_a_run_shows_its_output_live_and_how_it_ended_without_a_reload(visit, add_runbook, stop):
    file = add_runbook("Journey", requirements=STOP, script=TICKING)
    page = visit("alice", "sre")
    number = execute(page, "Journey", STOP=stop)
    page.evaluate("window.isTheSamePage = true")
    expect(state(page)).to_have_text("running")
    seen = lines(page).count()
    expect(line(page, f"line {seen + 5}")).to_be_visible()
    stop.touch()
    expect(state(page)).to_have_text("succeeded")
    expect(fact(page, "Exit code")).to_have_text("0")
    expect(fact(page, "Duration")).to_have_text(re.compile(r"\d m?s"))
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()
    shown = lines(page).all_text_contents()
    assert shown == [f"line {n}" for n in range(1, len(shown) + 1)]
    assert page.evaluate("window.isTheSamePage")

    page.get_by_role("link", name="Runs", exact=True).click()
    row = page.get_by_role("row").filter(has_text="Journey")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("succeeded")
    expect(row.get_by_role("link", name=f"#{number}")).to_be_visible()

    open_runbook(page, "Journey")
    page.get_by_text("History in the file").click()
    expect(page.get_by_role("heading", name="exit code 0")).to_have_count(1)
    expect(page.get_by_role("group").filter(has_text="History in the file")).to_contain_text(shown[-1])
    assert file.read_text().count("exit code 0") == 1


def test_without_javascript_plain_forms_and_links_do_it_all(visit, add_runbook, stop):
    add_runbook("Plain", requirements=STOP, script=TICKING)
    page = visit("alice", javascript=False)
    page.get_by_role("searchbox", name="Search runbooks").fill("plain")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("link", name="Hello", exact=True)).to_have_count(0)

    execute(page, "Plain", STOP=stop)
    refresh_until(page, lambda: state(page).inner_text() == "running" and lines(page).count() >= 10)
    stop.touch()
    refresh_until(page, lambda: state(page).inner_text() == "succeeded")
    expect(fact(page, "Exit code")).to_have_text("0")
    expect(page.get_by_role("link", name="Refresh")).to_have_count(0)

    open_runbook(page, "Plain")
    page.get_by_text("History in the file").click()
    expect(page.get_by_role("heading", name="exit code 0")).to_be_visible()


def test_without_javascript_a_run_can_be_cancelled(visit, add_runbook, stop):
    add_runbook("Plain-cancel", requirements=STOP, script=TICKING)
    page = visit("alice", javascript=False)
    execute(page, "Plain-cancel", STOP=stop)
    refresh_until(page, lambda: lines(page).count() > 0)
    cancel(page)
    refresh_until(page, lambda: state(page).inner_text() == "cancelled")
    expect(fact(page, "Cancelled by")).to_have_text("alice")


def refresh_until(page: Page, condition: Callable[[], bool]) -> None:
    """Press Refresh, as somebody without JavaScript does, until the condition is true."""
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, f"still {state(page).inner_text()}"
        page.get_by_role("link", name="Refresh").click()


def test_cancel_ends_the_script_and_says_who_asked(visit, add_runbook):
    add_runbook("Cancelled", script="echo begun\nsleep 600\necho never")
    page = visit("bob")
    execute(page, "Cancelled")
    expect(line(page, "begun")).to_be_visible()
    cancel(page)
    expect(state(page)).to_have_text("cancelled")
    expect(fact(page, "Cancelled by")).to_have_text("bob")
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()
    expect(line(page, "never")).to_have_count(0)


def test_wrong_values_are_explained_at_their_fields_and_typed_ones_kept(visit, add_runbook):
    requirements = {
        "HOST": "{description: which one, pattern: '[a-z]+'}",
        "COUNT": "{description: how many, type: number}",
        "API_TOKEN": "a token",
    }
    add_runbook("Values", requirements=requirements, script='echo "$HOST $COUNT"')
    page = visit("alice", allowed=["422"])
    open_runbook(page, "Values")
    page.get_by_label("HOST", exact=True).fill("NOT ONE")
    page.get_by_label("COUNT", exact=True).fill("3")
    page.get_by_label("API_TOKEN", exact=True).fill("hunter2hunter2")
    with page.expect_response("**/runs/") as answer:
        page.get_by_role("button", name="Execute").click()
    assert answer.value.status == 422
    expect(page.get_by_role("alert").filter(has_text="Nothing was started.")).to_be_visible()
    host = page.get_by_label("HOST", exact=True)
    expect(host).to_have_value("NOT ONE")
    expect(host).to_have_attribute("aria-invalid", "true")
    expect(host).to_have_accessible_description(re.compile("pattern|match", re.I))
    expect(page.get_by_label("COUNT", exact=True)).to_have_value("3")
    expect(page.get_by_label("API_TOKEN", exact=True)).to_have_value("")
    assert "hunter2" not in page.content()


def test_signing_out_closes_the_pages(visit):
    page = visit("alice")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Subject")).to_be_visible()
    page.goto("/runbooks/")
    expect(page.get_by_label("Subject")).to_be_visible()
    sign_in(page, "alice")
