"""Checking fields of a form before it is sent."""

import pytest

from runbooks.models import Run

CHECK = "/runbooks/restart.md/check/"
ASKING = {"HOST": "{pattern: 'db-[0-9]'}", "COUNT": "{type: number}", "API_TOKEN": "{pattern: '[a-z]+'}"}


@pytest.fixture(autouse=True)
def runbook(library, a_runbook):
    library.add("restart.md", a_runbook(requirements=ASKING, settings={"confirm": "true"}))


def messages(client, **sent: object) -> dict[str, str]:
    """The text that each message's place gets."""
    sent = {
        name.replace("FIELD", "runbookweb.field").replace("REASON", "runbookweb.reason"): sent[name] for name in sent
    }
    answer = client.post(CHECK, sent)
    assert answer.status_code == 200
    parts = answer.content.decode().split('<hx-partial hx-target="#')[1:]
    return {part.partition('"')[0]: part.partition("<span>")[2].partition("</span>")[0] for part in parts}


def test_a_field_that_does_not_fit_gets_its_message(alice_client):
    wrong = messages(alice_client, FIELD="HOST", HOST="db-x")
    assert wrong == {"field-HOST-error": "This does not fit the pattern db-[0-9]"}


def test_one_that_fits_loses_it(alice_client):
    assert messages(alice_client, FIELD="HOST", HOST="db-1") == {"field-HOST-error": ""}


def test_all_can_be_checked_at_once(alice_client):
    assert messages(alice_client, HOST="db-1", COUNT="1e3") == {
        "field-HOST-error": "",
        "field-COUNT-error": "This must be a number, such as 5 or 0.25.",
        "field-API_TOKEN-error": "A value is needed.",
        "why-error": "Say in a few words why you run this now.",
    }


def test_a_secret_is_checked_and_never_sent_back(alice_client):
    answer = alice_client.post(CHECK, {"runbookweb.field": "API_TOKEN", "API_TOKEN": "HUNTER2"})
    assert "This does not fit the pattern" in answer.content.decode()
    assert "HUNTER2" not in answer.content.decode()


def test_the_reason_is_checked(alice_client):
    assert messages(alice_client, FIELD="runbookweb.reason", REASON="it lags") == {"why-error": ""}


def test_what_is_no_field_has_no_message(alice_client):
    assert messages(alice_client, FIELD="<script>", HOST="x") == {}


def test_nothing_is_started_and_nothing_kept_by_a_cache(alice_client):
    answer = alice_client.post(CHECK, {"HOST": "db-1", "COUNT": "1", "API_TOKEN": "a", "runbookweb.reason": "why not"})
    assert not Run.objects.exists()
    assert "no-store" in answer.headers["Cache-Control"]


def test_who_may_not_run_it_is_not_told_what_fits(bob_client, library, a_runbook):
    library.add("restart.md", a_runbook(requirements=ASKING, claims={"roles": ["dba"]}))
    assert bob_client.post(CHECK, {"HOST": "db-1"}).status_code == 403
    assert not Run.objects.exists()


def test_who_is_signed_out_stays_on_the_page_with_what_was_typed(client, db):
    answer = client.post(CHECK, {"HOST": "db-1"}, headers={"HX-Request": "true"})
    assert (answer.status_code, answer.content) == (401, b"")
    assert "HX-Redirect" not in answer.headers


def test_it_takes_a_form_and_nothing_else(alice_client):
    assert alice_client.get(CHECK).status_code == 405


def test_a_runbook_that_is_not_there_is_not_checked(alice_client):
    assert alice_client.post("/runbooks/nothing.md/check/").status_code == 404
