"""What all searches in output have in common: one line at a time, and few of them at once."""

import pytest

from runbooks.models import State
from runbooks.web import search_places
from runbookweb.database import RETRY_AFTER


@pytest.fixture
def nobody_waits(monkeypatch):
    monkeypatch.setattr(search_places, "PATIENCE", 0.01)


@pytest.mark.parametrize(
    "address", ["/runs/{run}/search/?q=a%0Ab", "/runs/{run}/search/?q=%0A", "/runs/?text=a%0D%0Ab"]
)
def test_a_text_with_a_line_end_is_refused_with_a_reason(alice_client, a_run, address):
    answer = alice_client.get(address.format(run=a_run().pk), headers={"Accept": "text/html"})
    assert answer.status_code == 400
    assert "one line at a time" in answer.content.decode()


@pytest.mark.parametrize("address", ["/runs/{run}/search/?q=a", "/runs/?text=a"])
@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_whoever_finds_no_place_is_told_to_come_again(alice_client, a_run, nobody_waits, address, accept):
    run = a_run(state=State.SUCCEEDED)
    with search_places.places(), search_places.places():
        answer = alice_client.get(address.format(run=run.pk), headers={"Accept": accept})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, RETRY_AFTER)
    assert "searching at this moment" in answer.content.decode()
    assert alice_client.get(address.format(run=run.pk), headers={"Accept": accept}).status_code == 200
