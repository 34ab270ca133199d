"""What the first view of a run's page costs on the wire, and that the next costs little more than its text."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from .pages import execute, line, state

pytestmark = pytest.mark.browser

FIRST_VIEW = 100_000  # bytes


@pytest.fixture
def weigh() -> Callable[[Page, str], dict[str, int]]:
    """Opens an address; the bytes on the wire of all that it asked for."""

    def open_and_weigh(page: Page, address: str) -> dict[str, int]:
        asked, weights = {}, {}
        session = page.context.new_cdp_session(page)
        session.on("Network.requestWillBeSent", lambda sent: asked.update({sent["requestId"]: sent["request"]["url"]}))
        session.on(
            "Network.loadingFinished",
            lambda done: weights.update({asked.get(done["requestId"], "?"): int(done["encodedDataLength"])}),
        )
        session.send("Network.enable")
        page.goto(address, wait_until="networkidle")
        session.detach()
        return weights

    return open_and_weigh


def test_the_first_view_of_a_long_log_is_light_and_the_next_lighter(visit, add_runbook, weigh):
    add_runbook("Long-log", script='i=0; while [ $i -lt 5000 ]; do i=$((i+1)); echo "line $i of the import"; done')
    page = visit("alice")
    number = execute(page, "Long-log")
    expect(state(page)).to_have_text("succeeded")
    page.context.new_cdp_session(page).send("Network.clearBrowserCache")

    first = weigh(page, f"/runs/{number}/")
    expect(line(page, "line 5000 of the import")).to_be_visible()
    assert any("/static/" in address for address in first), first
    assert sum(first.values()) < FIRST_VIEW, first

    again = weigh(page, f"/runs/{number}/")
    assert all(not weight for address, weight in again.items() if "/static/" in address), again
    assert sum(again.values()) < sum(first.values()) / 2


def test_what_streams_is_never_compressed(visit, server):
    page = visit("alice")
    number = execute(page, "Hello")
    expect(state(page)).to_have_text("succeeded")
    for address in (f"/runs/{number}/events/", f"/runs/{number}/log.txt"):
        answer = page.request.get(address, headers={"Accept-Encoding": "gzip"})
        assert answer.status == 200
        assert "content-encoding" not in answer.headers
