"""What gives way in a narrow window, and the colours by which a warning is no error."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from .pages import open_runbook

pytestmark = pytest.mark.browser

WHO = "alice.smith"
REFUSED = "status of 422"
CAUTION, NEGATIVE = "--color-caution-soft", "--color-negative-soft"


def has_background(element: Locator, token: str) -> bool:
    """Whether an element's background is of this colour of ours."""
    return element.evaluate(
        """(element, token) => {
            const other = element.appendChild(document.createElement("i"));
            other.style.background = `var(${token})`;
            const same = getComputedStyle(other).backgroundColor === getComputedStyle(element).backgroundColor;
            other.remove();
            return same;
        }""",
        token,
    )


def is_cut(element: Locator) -> bool:
    return element.evaluate("element => element.scrollWidth > element.clientWidth")


def test_at_320_px_the_person_is_named_and_not_the_program(visit):
    page = visit(WHO)
    page.set_viewport_size({"width": 320, "height": 640})
    who = page.locator(".top__id")
    expect(who).to_have_text(WHO)
    assert not is_cut(who)
    expect(page.get_by_role("banner").get_by_role("link", name="Runbookweb")).to_be_visible()


def test_what_is_required_stays_beside_its_label_with_an_error(visit, add_runbook: Callable[..., Path]):
    add_runbook("Asks-why", settings={"confirm": "true"})
    page = visit("alice", allowed=[REFUSED])
    page.set_viewport_size({"width": 390, "height": 800})
    open_runbook(page, "Asks-why")
    page.get_by_role("button", name="Execute").click()
    expect(page.get_by_role("alert")).to_be_visible()
    head = page.locator(".form__why .field__head")
    label, need = head.locator("label").bounding_box(), head.get_by_text("required").bounding_box()
    assert need["y"] < label["y"] + label["height"]


@pytest.mark.parametrize(("variable", "token"), [("API_TOKEN: {default: abc}", CAUTION), ("A: [", NEGATIVE)])
def test_a_line_that_is_warned_of_has_not_the_colour_of_an_error(visit, add_runbook, variable, token):
    name = f"Marked{token}"
    add_runbook(name, requirements=variable)
    page = visit("alice")
    open_runbook(page, name)
    wrong = page.get_by_role("article", name="Documentation").locator(".wrong").first
    expect(wrong).to_be_visible()
    assert has_background(wrong, token)
