"""The live log follows its end, as long as the reader wants it to."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from .pages import TICKING, execute, line, lines, state

pytestmark = pytest.mark.browser

# Prints 100 lines at once, and 50 more when the test makes the next file in FOLDER.
BATCHES = """\
seq -f 'line %g' 1 100
for batch in 1 2 3; do
  until [ -e "$FOLDER/$batch" ]; do sleep 0.02; done
  seq -f 'line %g' "$((batch * 50 + 51))" "$((batch * 50 + 100))"
done"""


def test_the_log_follows_its_end_until_the_reader_scrolls_up(visit, add_runbook, tmp_path: Path):
    add_runbook("Follow", requirements={"FOLDER": "where the test makes files"}, script=BATCHES)
    page = visit("alice")
    execute(page, "Follow", FOLDER=tmp_path)
    follow = page.get_by_role("button", name="Jump to the end")
    expect(line(page, "line 100")).to_be_in_viewport()
    expect(follow).to_be_hidden()

    page.get_by_role("log").hover()
    page.mouse.wheel(0, -100_000)
    expect(follow).to_be_visible()
    (tmp_path / "1").touch()
    expect(line(page, "line 150")).to_be_attached()
    expect(follow).to_contain_text("50 new lines")
    expect(line(page, "line 1")).to_be_in_viewport()

    page.mouse.wheel(0, 100_000)
    expect(follow).to_be_hidden()
    (tmp_path / "2").touch()
    expect(line(page, "line 200")).to_be_in_viewport()

    page.mouse.wheel(0, -100_000)
    follow.click()
    (tmp_path / "3").touch()
    expect(state(page)).to_have_text("succeeded")
    expect(line(page, "line 250")).to_be_in_viewport()


def test_lines_that_get_their_height_late_are_followed_too(visit, add_runbook, tmp_path: Path):
    """As in browsers that lay new lines out a frame after they have come."""
    add_runbook("Late", requirements={"FOLDER": "where the test makes files"}, script=BATCHES)
    page = visit("alice")
    execute(page, "Late", FOLDER=tmp_path)
    expect(line(page, "line 100")).to_be_in_viewport()
    page.evaluate("document.getElementById('L50').style.height = '1000px'")
    expect(line(page, "line 100")).to_be_in_viewport()
    for number in (1, 2, 3):
        (tmp_path / str(number)).touch()
    expect(state(page)).to_have_text("succeeded")


def test_a_reader_can_scroll_up_while_lines_come_quickly(visit, add_runbook, tmp_path: Path):
    script = TICKING.replace("0.05", "0.01")
    add_runbook("Quick", requirements={"STOP": "the file that ends it"}, script=script)
    page = visit("alice")
    execute(page, "Quick", STOP=tmp_path / "stop")
    expect(lines(page).nth(100)).to_be_attached()
    page.get_by_role("log").hover()
    page.mouse.wheel(0, -100_000)
    try:
        expect(page.get_by_role("button", name="Jump to the end")).to_be_visible(timeout=2000)
        page.mouse.wheel(0, -100_000)  # a line that came in the same frame may have cut the first one short
        expect(line(page, "line 1")).to_be_in_viewport(timeout=2000)
        expect(lines(page).nth(lines(page).count() + 50)).to_be_attached()
        expect(line(page, "line 1")).to_be_in_viewport(timeout=2000)
    finally:
        (tmp_path / "stop").touch()


def test_another_size_of_the_window_is_no_wish_to_read_elsewhere(visit, add_runbook, tmp_path: Path):
    add_runbook("Turned", requirements={"FOLDER": "where the test makes files"}, script=BATCHES)
    page = visit("alice")
    execute(page, "Turned", FOLDER=tmp_path)
    expect(line(page, "line 100")).to_be_in_viewport()
    for height in (2000, 700):
        page.set_viewport_size({"width": 500, "height": height})
    for batch in (1, 2, 3):
        (tmp_path / str(batch)).touch()
    expect(state(page)).to_have_text("succeeded")
    expect(page.get_by_role("button", name="Jump to the end")).to_be_hidden()
    expect(line(page, "line 250")).to_be_attached()


def test_the_newest_line_is_in_view_in_a_laptops_window(visit, add_runbook):
    add_runbook("Laptop", script="seq -f 'line %g' 1 100")
    page = visit("alice")
    page.set_viewport_size({"width": 1280, "height": 720})
    execute(page, "Laptop")
    expect(state(page)).to_have_text("succeeded")
    expect(line(page, "line 100")).to_be_attached()
    expect(line(page, "line 100")).to_be_in_viewport(timeout=2000)
