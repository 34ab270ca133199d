"""Pages at 200 % and 400 %, in the system's own colours, and without motion: nothing is cut off, nothing lost."""

import pytest
from playwright.sync_api import Page, expect

from .pages import execute, state

pytestmark = pytest.mark.browser

PAGES = ("/runbooks/", "/runbooks/Form-with-every-type.md/", "/runs/", "/usage/", "/configuration/", "/doctor/")
# What a window of 1280 px shows at 200 % and at 400 %.
ZOOMED = (640, 320)
BEYOND = """() => [...document.querySelectorAll("body *")].filter((element) => {
    const box = element.getBoundingClientRect();
    return box.width && box.right > innerWidth + 1 && element.checkVisibility()
        && !element.closest(".scroller, .log__lines, pre, [popover], .visually-hidden, svg");
}).map((element) => element.outerHTML.slice(0, 120))"""


def assert_fits(page: Page, what: str) -> None:
    for width in ZOOMED:
        page.set_viewport_size({"width": width, "height": 500})
        sideways = page.evaluate("document.scrollingElement.scrollWidth - innerWidth")
        assert sideways <= 0, f"{what} scrolls sideways at {width} px: {page.evaluate(BEYOND)[:3]}"
        assert page.evaluate(BEYOND) == [], f"{what} is cut off at {width} px"


@pytest.mark.parametrize("address", PAGES)
def test_a_zoomed_page_never_scrolls_sideways(visit, address):
    page = visit("somebody.with.a.long.name@department.example.org", "sre")
    page.goto(address)
    assert_fits(page, address)


def test_a_zoomed_run_never_scrolls_sideways(visit, add_runbook):
    add_runbook("Wide-output", script='printf "%0500d\\n" 7; echo done')
    page = visit("alice")
    execute(page, "Wide-output")
    expect(state(page)).to_have_text("succeeded")
    assert_fits(page, "a run")


def test_the_current_page_is_told_in_the_systems_own_colours(visit):
    page = visit("alice")
    page.emulate_media(forced_colors="active")
    page.goto("/runs/")
    current = page.get_by_role("navigation", name="Pages").locator("[aria-current]")
    expect(current).to_have_text("Runs")
    expect(current).to_have_css("outline-style", "solid")


def test_who_wants_no_motion_gets_none(visit):
    page = visit("alice")
    page.emulate_media(reduced_motion="reduce")
    execute(page, "Long-running")
    moving = "() => document.getAnimations().filter((one) => one.playState === 'running').length"
    assert page.evaluate(moving) == 0
