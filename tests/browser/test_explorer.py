"""The description of the API as a page, which nothing of another host's or inline may be needed for."""

import pytest

pytestmark = pytest.mark.browser


def test_the_explorer_asks_an_address_of_the_api(visit):
    page = visit("alice", "sre")
    page.goto("/docs/explorer.html")
    page.locator("#operations-Runbooks-list_runbooks .opblock-summary-control").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute", exact=True).click()
    page.locator(".live-responses-table .microlight", has_text='"filename": "Hello.md"').first.wait_for()
    page.get_by_role("link", name="Back to the runbooks").click()
    page.get_by_role("heading", name="Runbooks").wait_for()
