"""Finding a runbook, keeping it at hand, reading it and copying from it; and the same without JavaScript."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from .pages import execute, open_runbook, state

pytestmark = pytest.mark.browser
SCRIPT = "echo one\nif true; then\n\techo 'two < three'\nfi\n"


def names(page: Page) -> Locator:
    return page.get_by_role("region", name="Runbooks", exact=True).locator(".runbooks__name")


def star(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=f"Favourite: {name}", exact=True)


def search(page: Page) -> Locator:
    return page.get_by_role("searchbox", name="Search runbooks")


def test_the_search_narrows_the_list_while_one_types(visit, add_runbook):
    add_runbook("Restart-zebra")
    page = visit("alice")
    search(page).press_sequentially("zebr")
    expect(names(page)).to_have_text(["Restart-zebra"])
    expect(page.get_by_role("status")).to_have_text("1 runbook with “zebr”")
    expect(search(page)).to_be_focused()
    expect(search(page)).to_have_value("zebr")
    expect(page).to_have_url(re.compile(r"\?q=zebr$"))
    page.reload()
    expect(names(page)).to_have_text(["Restart-zebra"])
    search(page).fill("qqqq")
    expect(page.get_by_role("status")).to_contain_text("No runbook has “qqqq”")
    search(page).fill("")
    expect(page.get_by_role("link", name="Hello", exact=True)).to_be_visible()


def test_a_star_by_keyboard_puts_a_runbook_on_top(visit):
    page = visit("star-gazer")
    star(page, "Long-running").focus()
    page.keyboard.press("Enter")
    expect(star(page, "Long-running")).to_have_attribute("aria-pressed", "true")
    expect(star(page, "Long-running")).to_be_focused()
    expect(names(page).first).not_to_have_text("Long-running")  # nothing moves below the pointer
    page.reload()
    expect(names(page).first).to_have_text("Long-running")
    open_runbook(page, "Long-running")
    star(page, "Long-running").click()
    expect(star(page, "Long-running")).to_have_attribute("aria-pressed", "false")
    page.goto("/runbooks/")
    expect(page.get_by_role("heading", name="Favourites")).to_have_count(0)


def test_the_script_is_copied_as_it_is_and_that_is_said(visit, add_runbook):
    add_runbook("Copied", script=SCRIPT.rstrip("\n"))
    page = visit("alice")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_runbook(page, "Copied")
    page.get_by_role("button", name="Copy the script").click()
    expect(page.get_by_role("status").filter(has_text="Copied")).to_be_attached()
    expect(page.get_by_role("button", name="Copied the script")).to_be_focused()
    assert page.evaluate("navigator.clipboard.readText()") == SCRIPT
    expect(page.get_by_role("button", name="Copy the script")).to_be_visible()  # again, for the next time


def test_it_is_copied_too_where_the_browser_gives_no_clipboard(visit, add_runbook):
    add_runbook("Copied-so", script="echo hello")
    page = visit("alice")
    page.add_init_script("delete Navigator.prototype.clipboard")
    open_runbook(page, "Copied-so")
    page.get_by_role("button", name="Copy the script").click()
    expect(page.get_by_role("status").filter(has_text="Copied")).to_be_attached()
    page.goto("/runbooks/")
    search(page).focus()
    page.keyboard.press("Control+V")
    expect(search(page)).to_have_value("echo hello")


def test_a_problem_leads_to_where_it_is(visit, add_runbook):
    add_runbook("Wrong", requirements="HOST: [")
    page = visit("alice")
    open_runbook(page, "Wrong")
    link = page.get_by_role("region", name="This runbook cannot run as it is").get_by_role("link")
    line = re.match(r"line (\d+), Environment Requirements", link.inner_text())[1]
    link.click()
    place = page.locator(":target")
    expect(place).to_contain_text(f"Error in line {line}")
    expect(place).to_be_in_viewport()


def test_a_heading_has_an_address_of_its_own(visit, add_runbook):
    add_runbook("Long-text", about="A\n\n" + "b\n\n" * 80 + "## What to do then\n\nCall somebody.")
    page = visit("alice")
    open_runbook(page, "Long-text")
    page.get_by_role("link", name="Link to What to do then").click()
    expect(page).to_have_url(re.compile("#doc-what-to-do-then$"))
    expect(page.get_by_role("heading", name="What to do then")).to_be_in_viewport()


def test_a_bar_of_the_chart_leads_to_its_run(visit, add_runbook):
    add_runbook("Charted", script="exit 3")
    page = visit("alice")
    runs = [execute(page, "Charted") for _ in range(2)]
    expect(state(page)).to_have_text("failed")
    open_runbook(page, "Charted")
    expect(page.get_by_role("figure")).to_contain_text("The last 2 runs: 2 failed")
    page.locator(".chart__link").first.click()
    expect(page).to_have_url(re.compile(rf"/runs/{runs[0]}/$"))


def test_a_form_that_fits_stays_beside_a_long_text(visit, add_runbook):
    add_runbook("Beside", about="words\n\n" * 200)
    page = visit("alice")
    open_runbook(page, "Beside")
    page.get_by_role("heading", name="Script").scroll_into_view_if_needed()
    expect(page.get_by_role("button", name="Execute")).to_be_in_viewport()


def test_on_a_phone_nothing_is_wider_than_the_window(visit, add_runbook):
    add_runbook("Wide", about=f"{'w' * 300}\n\n|a|b|\n|-|-|\n|{'x' * 90}|y|", script=f"echo {'y' * 300}")
    page = visit("alice")
    page.set_viewport_size({"width": 390, "height": 800})
    for address in ("/runbooks/", "/runbooks/Wide.md/", "/runbooks/database/Restart-replica.md/"):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, address


def test_many_runbooks_are_folded_until_one_opens_their_folder(visit, server):
    for number in range(60):
        server.add(f"fleet/Restart-{number:02}.md")
    page = visit("alice")
    page.reload()
    expect(page.get_by_role("link", name="Restart-07")).to_have_count(0)
    page.get_by_role("heading", name="fleet").click()
    expect(page.get_by_role("link", name="Restart-07")).to_be_visible()


def test_the_rest_of_a_large_folder_comes_by_keyboard(visit, server):
    for number in range(201):
        server.add(f"large/Patch-{number:03}.md")
    page = visit("alice")
    page.get_by_role("heading", name="large").click()
    expect(names(page).filter(has_text="Patch")).to_have_count(100)
    page.get_by_role("link", name="Show 100 more (201 in all)").press("Enter")
    expect(names(page).filter(has_text="Patch")).to_have_count(200)
    expect(page.get_by_role("list", name="101 to 200 of 201")).to_be_focused()
    page.keyboard.press("Tab")
    expect(star(page, "Patch-100")).to_be_focused()
    page.get_by_role("link", name="Show 1 more (201 in all)").press("Enter")
    expect(names(page).filter(has_text="Patch").last).to_have_text("Patch-200")


def test_without_javascript_the_rest_of_a_large_folder_is_behind_links(visit, server):
    for number in range(201):
        server.add(f"large/Patch-{number:03}.md")
    page = visit("plain", javascript=False)
    page.get_by_role("heading", name="large").click()
    page.get_by_role("link", name="Show the 201").click()
    page.get_by_role("link", name="Show 100 more (201 in all)").click()
    expect(names(page)).to_have_count(100)
    expect(names(page).first).to_have_text("Patch-100")
    page.get_by_role("link", name="Show all runbooks").click()
    expect(page.get_by_role("link", name="Hello", exact=True)).to_be_visible()


def test_without_javascript_search_and_stars_are_forms(visit):
    page = visit("plain", javascript=False)
    search(page).fill("hello")
    page.get_by_role("button", name="Search").click()
    expect(names(page)).to_have_text(["Hello"])
    star(page, "Hello").click()
    expect(star(page, "Hello")).to_have_attribute("aria-pressed", "true")
    expect(page).to_have_url(re.compile(r"\?q=hello$"))
    page.get_by_role("link", name="Hello", exact=True).click()
    star(page, "Hello").click()
    expect(page.get_by_role("heading", name="Hello", level=1)).to_be_visible()
    expect(star(page, "Hello")).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
