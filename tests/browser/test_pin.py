"""A run is pinned without leaving its page, whose log goes on; without JavaScript by a form."""

import pytest
from playwright.sync_api import Page, expect

from .pages import TICKING, execute, line

pytestmark = pytest.mark.browser


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def test_a_run_is_pinned_while_its_log_goes_on(visit, add_runbook, tmp_path):
    add_runbook("Pinned", requirements={"STOP": "A file"}, script=TICKING)
    page = visit("alice")
    run = execute(page, "Pinned", STOP=tmp_path / "stop")
    first = line(page, "line 1").element_handle()
    press(page, "Pin")
    expect(page.get_by_role("button", name="Pinned", exact=True)).to_have_attribute("aria-pressed", "true")
    assert first.is_visible()  # it is the same page
    (tmp_path / "stop").touch()
    page.goto("/runs/")
    expect(page.get_by_role("row").filter(has_text=f"#{run}")).to_contain_text("pinned")
    page.goto(f"/runs/{run}/")
    press(page, "Pinned")
    expect(page.get_by_role("button", name="Pin", exact=True)).to_be_visible()


def test_without_javascript_it_is_a_form(visit, add_runbook):
    add_runbook("Plain-pin")
    page = visit("alice", javascript=False)
    execute(page, "Plain-pin")
    for name in ("Pin", "Pinned", "Pin"):
        press(page, name)
    expect(page.get_by_role("button", name="Pinned", exact=True)).to_be_visible()
