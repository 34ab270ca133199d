"""The page of a run beside its log: cancelling, notes, kept files, what ran; also on paper and on a phone."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from runbooks.execution.launch import GRACE

from .pages import TICKING, execute, fact, line, state

pytestmark = pytest.mark.browser

STOP = {"STOP": "A file"}
STUBBORN = "trap '' TERM\necho begun\nwhile :; do sleep 0.1; done"
PHONE = {"width": 390, "height": 844}
REPORT = "mkdir -p out\nprintf 'a,b\\n1,2\\n' > 'out/the table.csv'\necho written"


def button(page: Page, name: str):
    return page.get_by_role("button", name=name, exact=True)


def is_as_wide_as_its_window(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_cancel_asks_once_and_then_says_what_it_does(visit, add_runbook):
    add_runbook("Stubborn", script=STUBBORN)
    page = visit("alice")
    execute(page, "Stubborn")
    expect(line(page, "begun")).to_be_visible()
    button(page, "Cancel").click()
    question = page.get_by_role("dialog", name="End the script?")
    expect(question).to_contain_text(f"It gets {GRACE} s to end by itself")
    expect(button(page, "Let it go on")).to_be_focused()
    button(page, "Let it go on").click()
    expect(question).to_be_hidden()
    expect(state(page)).to_have_text("running")

    button(page, "Cancel").click()
    button(page, "End the script").click()
    steps = page.get_by_role("list", name="How it is being ended").get_by_role("listitem")
    expect(steps).to_have_text(["alice asked to end it.", re.compile(r"The script has \d+ s left to end by itself\.")])
    expect(button(page, "Cancel")).to_be_hidden()
    left = page.locator(".ending__left")
    first = left.inner_text()
    expect(left).not_to_have_text(first)
    expect(state(page)).to_have_text("cancelled")
    expect(page.locator("#run-state")).to_contain_text(re.compile(r"\d process(es)? had to be killed\."))


def test_what_was_asked_is_left_with_escape_and_the_run_goes_on(visit, add_runbook, tmp_path: Path):
    add_runbook("Escaped", requirements=STOP, script=TICKING)
    page = visit("alice")
    execute(page, "Escaped", STOP=tmp_path / "stop")
    button(page, "Cancel").press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(button(page, "Cancel")).to_be_focused()
    (tmp_path / "stop").touch()
    expect(state(page)).to_have_text("succeeded")


def test_a_note_is_added_while_the_log_goes_on(visit, add_runbook, tmp_path: Path):
    add_runbook("Noted", requirements=STOP, script=TICKING)
    page = visit("alice")
    run = execute(page, "Noted", STOP=tmp_path / "stop")
    first = line(page, "line 1").element_handle()
    page.get_by_text("Add a note").click()
    expect(page.get_by_label("Note for whoever looks")).to_be_focused()
    page.get_by_label("Note for whoever looks").fill("It ticks.\nLet it.")
    button(page, "Save the note").click()
    expect(page.get_by_role("region", name="Note").locator(".note__text")).to_have_text("It ticks.\nLet it.")
    expect(page.locator("summary", has_text="Change the note")).to_be_focused()
    assert first.is_visible()  # it is the same page
    (tmp_path / "stop").touch()
    expect(state(page)).to_have_text("succeeded")
    page.goto(f"/runs/{run}/")
    expect(page.get_by_role("region", name="Note")).to_contain_text("alice")


def test_of_two_who_write_a_note_the_second_sees_the_first(visit, add_runbook):
    add_runbook("Twice-noted")
    alice, bob = visit("alice", allowed=["409"]), visit("bob")
    run = execute(alice, "Twice-noted")
    bob.goto(f"/runs/{run}/")
    for page, note in ((bob, "of bob"), (alice, "of alice")):
        page.get_by_text("Add a note").click()
        page.get_by_label("Note for whoever looks").fill(note)
        button(page, "Save the note").click()
    expect(alice.get_by_text("of bob", exact=True)).to_be_visible()
    expect(alice.get_by_role("alert").filter(has_text="meanwhile")).to_contain_text("bob has changed the note")
    button(alice, "Save the note").click()
    expect(alice.locator(".note__text")).to_have_text("of alice")


def test_a_high_note_leaves_the_output_in_sight(visit, add_runbook):
    add_runbook("High-note")
    page = visit("alice")
    page.set_viewport_size(PHONE)
    execute(page, "High-note")
    page.get_by_text("Add a note").click()
    page.get_by_label("Note for whoever looks").fill("\n".join(f"a\u0301{number}" for number in range(100)))
    button(page, "Save the note").click()
    expect(page.get_by_text("Change the note")).to_be_visible()
    note = page.locator(".note__text")
    assert note.evaluate("note => note.clientHeight < innerHeight / 2 && note.clientHeight < note.scrollHeight")
    assert note.evaluate("note => getComputedStyle(note).overflowX") == "auto"  # accents stay within
    assert is_as_wide_as_its_window(page)


def test_without_javascript_a_note_is_a_form(visit, add_runbook):
    add_runbook("Plain-note")
    page = visit("alice", javascript=False)
    execute(page, "Plain-note")
    page.get_by_text("Add a note").click()
    page.get_by_label("Note for whoever looks").fill("Plain.")
    button(page, "Save the note").click()
    expect(page.locator(".note__text")).to_have_text("Plain.")


def test_each_form_of_the_log_is_downloaded_under_a_name_of_its_own(visit):
    page = visit("alice")
    number = execute(page, "Hello")
    expect(state(page)).to_have_text("succeeded")
    for ending in ("txt", "json"):
        for words, name in (("with", ""), ("without", "-without-times")):
            page.get_by_role("button", name="Download").click()
            with page.expect_download() as begun:
                page.get_by_role("link", name=f"{ending.replace('txt', 'text')} {words} times").click()
            assert begun.value.suggested_filename == f"run-{number}{name}.{ending}"
            page.keyboard.press("Escape")


def test_a_kept_file_is_downloaded_under_its_name(visit, add_runbook):
    add_runbook("Keeping", script=REPORT, files="Output: [out]")
    page = visit("alice")
    execute(page, "Keeping")
    expect(page.get_by_role("link", name="out/the table.csv")).to_be_visible()  # without a reload
    with page.expect_download() as begun:
        page.get_by_role("link", name="out/the table.csv").click()
    assert begun.value.suggested_filename == "the table.csv"
    assert Path(begun.value.path()).read_text() == "a,b\n1,2\n"


def test_the_page_shows_what_ran_and_how_that_differs_from_today(visit, add_runbook):
    add_runbook("Changing", script="echo old")
    page = visit("alice")
    run = execute(page, "Changing")
    expect(state(page)).to_have_text("succeeded")
    expect(page.get_by_text("The runbook's file says the same today.")).to_be_visible()
    expect(page.get_by_role("region", name="The script")).to_contain_text("echo old")
    add_runbook("Changing", script="echo new")
    page.goto(f"/runs/{run}/")
    page.get_by_role("link", name="See how it differs from today's").click()
    expect(page.get_by_role("row", name="only today echo new")).to_be_visible()
    expect(page.get_by_role("row", name="only then echo old")).to_be_visible()


def test_the_time_is_measured_against_the_usual_one(visit, add_runbook, tmp_path: Path):
    add_runbook("Usual", requirements=STOP, script='echo begun\nuntil [ -e "$STOP" ]; do sleep 0.1; done')
    page = visit("alice")
    for _ in range(3):
        execute(page, "Usual", STOP=tmp_path / "stop")
        expect(fact(page, "Running for")).to_have_text(re.compile(r"^[2-9] s"))
        (tmp_path / "stop").touch()
        expect(state(page)).to_have_text("succeeded")
        (tmp_path / "stop").unlink()
    execute(page, "Usual", STOP=tmp_path / "stop")
    bar = page.get_by_role("progressbar", name="Time gone of what it usually takes")
    expect(bar).to_be_visible()
    before = bar.evaluate("bar => bar.value")
    expect(page.get_by_text(re.compile(r"^usually \d\.\d s"))).to_be_visible()
    expect(bar).not_to_have_js_property("value", before)
    expect(page.get_by_text("longer than usual, which is")).to_be_visible()
    (tmp_path / "stop").touch()
    expect(state(page)).to_have_text("succeeded")


def test_on_paper_nothing_is_cut_off_and_nothing_can_be_pressed(visit, add_runbook):
    add_runbook("Printed", script="for n in $(seq 300); do echo line $n; done")
    page = visit("alice")
    execute(page, "Printed")
    expect(state(page)).to_have_text("succeeded")
    page.reload()
    page.emulate_media(media="print", color_scheme="dark")
    expect(line(page, "line 300")).to_be_visible()
    clipped = """[...document.querySelectorAll("main *")].filter((element) =>
        element.scrollHeight > element.clientHeight + 2 && getComputedStyle(element).overflowY !== "visible"
        && element.clientHeight > 1).map((element) => element.className)"""
    assert page.evaluate(clipped) == []
    expect(page.get_by_role("button")).to_have_count(0)
    colours = "getComputedStyle(document.querySelector('.log__text')).color"
    assert page.evaluate(colours) == "rgb(0, 0, 0)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_reaches_over_the_edge(visit, add_runbook, scheme):
    name = f"A-runbook-with-quite-a-long-name-in-{scheme}"
    add_runbook(name, script=f"{REPORT}\necho {'x' * 300}", files="Output: [out]", requirements={"HOST": "A host"})
    page = visit("alice")
    page.set_viewport_size(PHONE)
    page.emulate_media(color_scheme=scheme)
    execute(page, name, HOST="y" * 200)
    expect(state(page)).to_have_text("succeeded")
    page.reload()
    assert is_as_wide_as_its_window(page)
    expect(fact(page, "Exit code")).to_have_text("0")
