"""Filling in a form: each field is checked when it is left, and what has been typed is never lost."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from .pages import execute, line, open_runbook, state

pytestmark = pytest.mark.browser

ASKING = {"HOST": "{pattern: 'db-[0-9]', default: db-1}", "PASSWORD": "{pattern: '[a-z]+'}", "COUNT": "{default: 1}"}


@pytest.fixture
def open_form(visit, add_runbook: Callable[..., Path]) -> Callable[..., Page]:
    """Opens the form of a new runbook."""

    def open_form(name: str, *, requirements: dict[str, str] = ASKING, **options: object) -> Page:
        contents = {key: options.pop(key) for key in ("script", "settings") if key in options}
        add_runbook(name, requirements=requirements, **contents)
        page = visit("alice", **options)
        open_runbook(page, name)
        return page

    return open_form


def field(page: Page, name: str) -> Locator:
    return page.get_by_label(name, exact=True)


def leave(page: Page, name: str, value: str) -> str:
    """Type a value into a field and leave it; what the page sends for that."""
    field(page, name).fill(value)
    with page.expect_response("**/check/") as answered:
        field(page, name).press("Tab")
    return answered.value.request.post_data


def is_wrong(page: Page, name: str, message: str) -> None:
    expect(field(page, name)).to_have_attribute("aria-invalid", "true")
    expect(field(page, name)).to_have_accessible_description(re.compile(re.escape(message)))


def is_right(page: Page, name: str) -> None:
    expect(field(page, name)).not_to_have_attribute("aria-invalid", "true")
    expect(page.locator(f"#field-{name}-error")).to_be_empty()


def refusal(page: Page) -> Locator:
    return page.get_by_role("alert").filter(has_text="Nothing was started.")


def test_a_field_says_what_is_wrong_when_it_is_left_and_nothing_else_moves(open_form):
    page = open_form("Left")
    leave(page, "HOST", "web-1")
    is_wrong(page, "HOST", "This does not fit the pattern db-[0-9]")
    expect(field(page, "PASSWORD")).to_be_focused()
    expect(field(page, "HOST")).to_have_value("web-1")
    is_right(page, "PASSWORD")


def test_the_message_goes_while_it_is_being_put_right(open_form):
    page = open_form("Right")
    leave(page, "HOST", "web-1")
    is_wrong(page, "HOST", "This does not fit")
    field(page, "HOST").press_sequentially("")
    field(page, "HOST").fill("db-2")
    expect(field(page, "HOST")).to_be_focused()
    is_right(page, "HOST")


def test_only_what_is_checked_leaves_the_page(open_form):
    page = open_form("Sparse")
    assert "HUNTER2" in leave(page, "PASSWORD", "HUNTER2")
    is_wrong(page, "PASSWORD", "This does not fit the pattern [a-z]+")
    sent = leave(page, "COUNT", "2")
    assert "COUNT" in sent
    assert "HUNTER2" not in sent
    assert "HOST" not in sent


def test_the_message_does_not_move_execute_from_under_the_pointer(open_form):
    page = open_form("Pressed", allowed=["422"])
    field(page, "HOST").fill("web-1")
    checks = []
    page.on("request", lambda request: checks.append(request) if request.url.endswith("/check/") else None)
    page.get_by_role("button", name="Execute").hover()
    page.mouse.down()
    page.mouse.up()
    expect(refusal(page)).to_be_visible()
    assert not checks


def test_the_summary_leads_to_the_fields(open_form):
    page = open_form("Summary", allowed=["422"])
    page.get_by_role("button", name="Execute").click()
    expect(page).to_have_title(re.compile("^Error: "))
    expect(refusal(page)).to_be_focused()
    refusal(page).get_by_role("link", name="PASSWORD").click()
    expect(field(page, "PASSWORD")).to_be_focused()


def test_the_next_form_has_the_values_of_last_time_but_no_secret(visit, add_runbook):
    add_runbook("Remembered", requirements=ASKING)
    page = visit("alice")
    run = execute(page, "Remembered", HOST="db-7", PASSWORD="opensesame")
    open_runbook(page, "Remembered")
    expect(page.get_by_text(f"Your values of last time, run #{run}.")).to_be_visible()
    expect(field(page, "HOST")).to_have_value("db-7")
    expect(field(page, "PASSWORD")).to_have_value("")
    page.get_by_role("link", name="Use the defaults").click()
    expect(field(page, "HOST")).to_have_value("db-1")


def test_who_is_asked_why_says_it_and_finds_it_at_the_run(open_form):
    page = open_form("Why", requirements={"HOST": "{default: db-1}"}, settings={"confirm": "true"}, allowed=["422"])
    page.get_by_role("button", name="Execute").click()
    refusal(page).get_by_role("link", name="Reason").click()
    why = page.get_by_label("Why do you run this now?")
    expect(why).to_be_focused()
    why.fill("The replica lags")
    why.press("Enter")
    expect(state(page)).to_be_visible()
    expect(page.get_by_text("The replica lags")).to_be_visible()


@pytest.mark.parametrize("javascript", [True, False])
@pytest.mark.parametrize(("requirement", "keys"), [("{type: number, default: 3}", "5e"), ("{type: date}", "11")])
def test_half_a_value_is_not_taken_for_none(open_form, requirement, keys, javascript):
    """Browsers send nothing for it: the default would be used, which nobody has typed."""
    asking = {"HALF": requirement.replace("}", ", required: false}")}
    page = open_form(f"Half-{keys}-{javascript}", requirements=asking, javascript=javascript)
    field(page, "HALF").press("ControlOrMeta+A")
    field(page, "HALF").press_sequentially(keys)
    page.get_by_role("button", name="Execute").click()
    expect(field(page, "HALF")).to_be_focused()
    page.goto("/runs/")
    expect(page.get_by_role("row").filter(has_text=f"Half-{keys}-{javascript}")).to_have_count(0)


EVERY = {
    "HOSTS": "{type: multichoice, choices: [web 1, web 2, web 3]}",
    "DAY": "{type: date}",
    "DUMP": "{type: file}",
    "FORCE": "{type: boolean}",
}
SHOW = 'echo "$HOSTS"; echo "$DAY $FORCE"; basename "$DUMP"; cat "$DUMP"'


@pytest.mark.parametrize("javascript", [True, False])
def test_the_script_gets_what_was_chosen_picked_and_uploaded(open_form, tmp_path, javascript):
    name = f"Every-{javascript}".lower()
    page = open_form(name, requirements=EVERY, script=SHOW, javascript=javascript)
    (tmp_path / "my dump.sql").write_text("select 1;\n")
    hosts = page.get_by_role("group", name="HOSTS")
    hosts.get_by_label("web 3").check()
    hosts.get_by_label("web 1").check()
    field(page, "DAY").fill("2026-11-22")
    field(page, "DUMP").set_input_files(tmp_path / "my dump.sql")
    page.get_by_role("button", name="Execute").click()
    expect(state(page)).to_be_visible()
    for text in ("web 1", "web 3", "2026-11-22 false", "my_dump.sql", "select 1;"):
        page.reload()
        expect(line(page, text)).to_be_visible()


@pytest.mark.parametrize("javascript", [True, False])
def test_a_file_and_a_secret_are_asked_for_again_until_they_are_given(open_form, tmp_path, javascript):
    options = {"settings": {"confirm": "true"}, "javascript": javascript, "allowed": ["422"]}
    asking = {"DUMP": "{type: file, required: false}", "API_TOKEN": "{required: false}"}
    script = 'cat "$DUMP"; echo "${#API_TOKEN} characters"'
    page = open_form(f"Again-{javascript}".lower(), requirements=asking, script=script, **options)
    (tmp_path / "dump.sql").write_text("select 1;\n")
    give = {"DUMP": lambda of: of.set_input_files(tmp_path / "dump.sql"), "API_TOKEN": lambda of: of.fill("hunter2")}
    for name, giving in give.items():
        giving(field(page, name))
    page.get_by_role("button", name="Execute").click()
    expect(refusal(page)).to_contain_text("Give again: DUMP, API_TOKEN")
    for name, giving in give.items():
        refusal(page).get_by_role("link", name=name).click()
        expect(field(page, name)).to_be_focused()
        expect(field(page, name)).to_have_accessible_description(re.compile("again: nothing was started"))
        giving(field(page, name))
    expect(page.get_by_text("again: nothing was started")).to_have_count(2)
    expect(page.get_by_text("again: nothing was started").locator("visible=true")).to_have_count(0 if javascript else 2)
    page.get_by_label("Why do you run this now?").fill("The replica lags")
    page.get_by_role("button", name="Execute").click()
    expect(state(page)).to_be_visible()
    for text in ("select 1;", "7 characters"):
        page.reload()
        expect(line(page, text)).to_be_visible()


def test_a_group_of_boxes_is_checked_as_one(open_form):
    page = open_form("Boxes", requirements={**EVERY, "HOSTS": "{type: multichoice, choices: [a, b], default: [a]}"})
    with page.expect_response("**/check/"):
        page.get_by_label("a", exact=True).press("Space")
    expect(page.get_by_text("Choose at least one.")).to_be_visible()
    expect(page.get_by_label("a", exact=True)).to_be_focused()
    with page.expect_response("**/check/"):
        page.get_by_label("b", exact=True).check()
    expect(page.get_by_text("Choose at least one.")).to_have_count(0)


def test_a_file_that_would_be_refused_is_not_even_sent(open_form, tmp_path):
    page = open_form("Too-large", requirements={"DUMP": "{type: file}"})
    (tmp_path / "large").write_bytes(b"x" * 4_000_000)
    field(page, "DUMP").set_input_files(tmp_path / "large")
    is_wrong(page, "DUMP", "All files together may have 2,500,000 bytes; these have 4,000,000.")
    page.get_by_role("button", name="Execute").click()
    expect(field(page, "DUMP")).to_be_focused()
    (tmp_path / "small").write_bytes(b"x")
    field(page, "DUMP").set_input_files(tmp_path / "small")
    expect(page.get_by_text("small, 1 bytes")).to_be_visible()
    page.get_by_role("button", name="Execute").click()
    expect(state(page)).to_be_visible()
