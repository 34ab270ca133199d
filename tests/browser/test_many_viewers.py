"""Several people and tabs on one run: all see the same log, nobody disturbs it, strangers see nothing of it."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .pages import TICKING, execute, line, lines, open_runbook, state

pytestmark = pytest.mark.browser

STOP = {"STOP": "the file that ends it"}


@pytest.fixture
def stop(tmp_path: Path) -> Path:
    return tmp_path / "stop"


def shown(page: Page) -> list[str]:
    """The whole log on a page whose run has ended; it must be every number once, in order."""
    expect(state(page)).to_have_text("succeeded")
    texts = lines(page).all_text_contents()
    assert texts == [f"line {number}" for number in range(1, len(texts) + 1)]
    return texts


def test_a_second_person_sees_the_whole_log_and_the_first_may_leave(visit, server, add_runbook, stop):
    add_runbook("Shared", requirements=STOP, script=TICKING)
    first, second = visit("alice"), visit("bob")
    number = execute(first, "Shared", STOP=stop)
    expect(lines(first).nth(10)).to_be_attached()
    second.goto(f"/runs/{number}/")
    expect(line(second, "line 1")).to_be_attached()
    expect(state(second)).to_have_text("running")
    first.close()
    expect(lines(second).nth(lines(second).count() + 20)).to_be_attached()
    stop.touch()
    assert server.printed(number).decode().splitlines() == shown(second)


def test_a_tab_reloaded_in_the_middle_shows_the_same_log(visit, add_runbook, stop):
    add_runbook("Reloaded", requirements=STOP, script=TICKING)
    page = visit("alice")
    execute(page, "Reloaded", STOP=stop)
    other = page.context.new_page()
    other.goto(page.url)
    expect(lines(other).nth(20)).to_be_attached()
    other.reload()
    expect(lines(other).nth(40)).to_be_attached()
    stop.touch()
    assert shown(other) == shown(page)


def test_a_person_without_the_claims_reads_the_documentation_and_why_there_is_no_more(visit, add_runbook, stop):
    claims = {"roles": ["sre"]}
    add_runbook("Guarded", about="How to restart it.", requirements=STOP, claims=claims, script=TICKING)
    insider, outsider = visit("alice", "sre"), visit("mallory", "guest")
    number = execute(insider, "Guarded", STOP=stop)
    expect(lines(insider).first).to_be_attached()
    addresses = [f"/runs/{number}/{rest}" for rest in ("", "events/", "log.txt")]
    assert [outsider.request.get(address).status for address in addresses] == [404, 404, 404]
    stop.touch()
    expect(state(insider)).to_have_text("succeeded")
    assert [outsider.request.get(address).status for address in addresses] == [404, 404, 404]
    assert [insider.request.get(address).status for address in addresses] == [200, 200, 200]

    open_runbook(outsider, "Guarded")
    expect(outsider.get_by_text("How to restart it.", exact=True)).to_be_visible()
    expect(outsider.get_by_text("You need one of these roles: sre. You have: guest.")).to_be_visible()
    expect(outsider.get_by_role("button", name="Execute")).to_have_count(0)
    expect(outsider.get_by_text("History in the file")).to_have_count(0)
    expect(outsider.get_by_role("heading", name="Past runs")).to_have_count(0)
    outsider.goto("/runs/")
    expect(outsider.get_by_role("link", name=f"#{number}")).to_have_count(0)
