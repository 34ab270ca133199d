"""The list of runs as people use it: narrowed, live, searched, compared; by keyboard, on a phone, without scripts."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from runbooks.web.output_search import MOST_RUNS

from .pages import execute, state

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 844}


def ended(page: Page, name: str, word: str = "succeeded") -> int:
    """Execute a runbook, and wait for the end of the run."""
    number = execute(page, name)
    expect(state(page)).to_have_text(word)
    return number


def row(page: Page, number: int) -> Locator:
    return page.locator(f"#run-{number}")


def test_the_list_is_narrowed_in_place_and_its_address_can_be_sent_to_others(visit, add_runbook):
    add_runbook("Well")
    add_runbook("Broken", script="exit 3")
    page = visit("alice")
    well, broken = ended(page, "Well"), ended(page, "Broken", "failed")
    page.goto("/runs/")
    page.evaluate("window.isStillHere = true")
    choice = page.get_by_label("Runbook", exact=True)
    choice.focus()
    choice.select_option("Broken.md")
    expect(row(page, well)).to_have_count(0)
    expect(row(page, broken)).to_be_visible()
    expect(choice).to_be_focused()
    expect(page).to_have_url(re.compile(r"/runs/\?runbook=Broken\.md$"))
    expect(page.get_by_role("status")).to_have_text(re.compile("^1 run found"))
    assert page.evaluate("window.isStillHere")


def test_shortcuts_and_filters_are_put_on_and_taken_off_by_keyboard(visit, add_runbook):
    add_runbook("Fine")
    add_runbook("Worse", script="exit 3")
    page = visit("bob")
    fine, worse = ended(page, "Fine"), ended(page, "Worse", "failed")
    page.goto("/runs/?person=bob")
    shortcut = page.get_by_role("link", name="Needs attention")
    shortcut.focus()
    page.keyboard.press("Enter")
    expect(row(page, fine)).to_have_count(0)
    expect(row(page, worse)).to_be_visible()
    expect(shortcut).to_be_focused()
    expect(shortcut).to_have_attribute("aria-current", "true")
    page.get_by_role("link", name="Remove Person bob").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/runs/\?state=failed&state=timed_out&state=lost$"))
    expect(page.get_by_role("region", name="Runs found")).to_be_focused()
    page.go_back()
    expect(page.get_by_role("link", name="Remove Person bob")).to_be_visible()


def test_what_goes_on_comes_and_goes_by_itself(visit, add_runbook, server):
    go = server.folder / "go-on"
    add_runbook("Lasting", script=f"until [ -e {go} ]; do sleep 0.05; done")
    page, other = visit("alice"), visit("alice")
    page.goto("/runs/")
    expect(page.get_by_text("Nothing is running now.")).to_be_visible()
    number = execute(other, "Lasting")
    card = page.locator(f"#active-{number}")
    expect(card).to_contain_text("running")
    expect(row(page, number)).to_contain_text("running")
    expect(card.locator("time")).to_have_text(re.compile("^[3-9] s"))  # it counts
    go.touch()
    expect(card).to_have_count(0)
    expect(row(page, number)).to_contain_text("succeeded")


def test_two_runs_are_ticked_and_compared(visit, add_runbook):
    add_runbook("Says", script='echo same; echo "$WORD"', requirements={"WORD": "what to say"})
    page = visit("alice")
    numbers = []
    for word in ("red", "blue"):
        numbers.append(execute(page, "Says", WORD=word))
        expect(state(page)).to_have_text("succeeded")
    page.goto("/runs/?runbook=Says.md")
    button = page.get_by_role("button", name="Compare")
    expect(button).to_be_disabled()
    for number in numbers:
        page.get_by_role("checkbox", name=f"Compare #{number}").press("Space")
    button.press("Enter")
    expect(page.get_by_role("heading", name="Compare two runs")).to_be_visible()
    expect(page.locator(".compare__summary")).to_contain_text("WORD differs. The runbook is the same.")
    expect(page.locator(".difference__line--removed")).to_contain_text("red")
    expect(page.locator(".difference__line--added")).to_contain_text("blue")
    page.get_by_role("link", name="Swap").click()
    expect(page.locator(".difference__line--removed")).to_contain_text("blue")


def test_a_long_output_is_folded_in_the_comparison_and_on_paper(visit, add_runbook):
    add_runbook("Many", script="seq 1 222")
    add_runbook("Few", script="echo one; echo two")
    page = visit("alice")
    a, b = ended(page, "Many"), ended(page, "Few")
    page.goto(f"/runs/compare/?a={a}&b={b}")
    last, more = page.get_by_role("cell", name="222", exact=True).last, page.get_by_text(f"219 more lines only in #{a}")
    expect(page.get_by_role("cell", name="two", exact=True)).to_be_visible()
    assert page.get_by_role("region", name="Lines that differ").last.bounding_box()["height"] < 400
    expect(last).to_be_hidden()
    page.emulate_media(media="print")
    expect(more).to_be_visible()
    page.emulate_media(media="screen")
    more.focus()
    page.keyboard.press("Enter")
    expect(last).to_be_visible()
    page.emulate_media(media="print")
    expect(last).to_be_visible()
    expect(more).to_be_hidden()


def test_a_text_in_the_output_is_found_and_leads_to_its_line(visit, add_runbook):
    add_runbook("Talks", script="seq 1 50; echo a rare word; seq 1 50")
    page = visit("alice")
    number = ended(page, "Talks")
    page.goto("/runs/")
    page.get_by_label("Text in the output").fill("RARE word")
    page.keyboard.press("Enter")
    hit = page.get_by_role("link", name="a rare word")
    expect(hit.locator("mark")).to_have_text("rare word")
    hit.click()
    expect(page).to_have_url(re.compile(rf"/runs/{number}/\?line=51#L51$"))


def test_a_search_goes_on_as_one_scrolls_down(visit, add_runbook):
    add_runbook("Repeats", script="echo many times over")
    page = visit("alice")
    token = page.request.post("/dev-login", data={"subject": "alice", "roles": []}).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Prefer": "respond-async"}
    for _ in range(MOST_RUNS + 2):
        answer = page.request.post("/api/runbooks/Repeats.md/execute", data={"env_vars": {}}, headers=headers)
        assert answer.status == 202
    page.goto("/runs/")
    expect(page.get_by_text("Nothing is running now.")).to_be_visible(timeout=60_000)
    page.goto("/runs/?text=many+times+over")
    expect(page.get_by_role("article")).to_have_count(MOST_RUNS)
    page.get_by_role("link", name="Search on").scroll_into_view_if_needed()
    expect(page.get_by_role("article")).to_have_count(MOST_RUNS + 2)
    expect(page.get_by_text("That is all: every run was searched.")).to_be_visible()


@pytest.mark.parametrize("address", ["/runs/", "/runs/?state=failed&person=a", "/runs/compare/"])
def test_a_phone_never_scrolls_sideways(visit, add_runbook, address):
    add_runbook("A-runbook-whose-name-is-longer-than-a-telephone-is-wide", script="echo $(seq 1 300)")
    page = visit("somebody.with.a.long.name@a-long-domain.example.org")
    number = ended(page, "A-runbook-whose-name-is-longer-than-a-telephone-is-wide")
    page.set_viewport_size(PHONE)
    page.goto(address if "compare" not in address else f"/runs/compare/?a={number}&b={number}")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_all_of_it_works_without_scripts(visit, add_runbook):
    add_runbook("Plain", script="echo here I am")
    page = visit("alice", javascript=False)
    execute(page, "Plain")
    number = execute(page, "Plain")
    page.goto("/runs/")
    page.get_by_text("More filters").click()
    page.get_by_label("Person").fill("alice")
    page.get_by_label("Runbook", exact=True).select_option("Plain.md")
    page.get_by_role("button", name="Search").click()
    expect(row(page, number)).to_be_visible()
    for box in page.get_by_role("checkbox", name=re.compile("^Compare #")).all()[:2]:
        box.check()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="Compare two runs")).to_be_visible()
