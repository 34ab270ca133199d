"""Starting a run from its form, and what the page says when it cannot start."""

import re
from uuid import UUID

import pytest
from django.test import Client

from runbooks.models import Run, State
from runbookweb import database, drain

START = "/runbooks/restart.md/runs/"
REASON = "runbookweb.reason"


def text_of(answer) -> str:
    return answer.content.decode()


def test_execute_starts_a_run_and_leads_to_it(alice_client, library, a_runbook):
    library.add("restart.md", a_runbook(requirements={"HOST": "The host"}))
    answer = alice_client.post(START, {"HOST": "db1"})
    run = Run.objects.get()
    assert answer.url == f"/runs/{run.pk}/"
    assert (run.actor, run.runbook, run.values) == ("alice", "restart.md", {"HOST": "db1"})


def test_lines_end_as_scripts_expect(alice_client, library, a_runbook):
    library.add("restart.md", a_runbook(requirements="NOTES: {type: multiline}"))
    alice_client.post(START, {"NOTES": "one\r\ntwo"})
    assert Run.objects.get().values == {"NOTES": "one\ntwo"}


def test_a_box_that_is_not_ticked_is_not_its_default(alice_client, library, a_runbook):
    library.add("restart.md", a_runbook(requirements='FORCE: {type: boolean, default: "true"}'))
    # As a browser sends it: the hidden field, and the box only when it is ticked.
    alice_client.post(START, {"FORCE": "false"})
    alice_client.post(START, {"FORCE": ["false", "true"]})
    assert [run.values["FORCE"] for run in Run.objects.order_by("pk")] == ["false", "true"]


def test_what_does_not_fit_is_said_at_its_field_and_what_was_typed_stays(alice_client, library, a_runbook):
    requirements = {"HOST": "The host", "COUNT": "{type: number}", "API_TOKEN": "A token"}
    library.add("restart.md", a_runbook(requirements=requirements))
    answer = alice_client.post(START, {"COUNT": "many", "API_TOKEN": "hunter2"})
    page = text_of(answer)
    assert answer.status_code == 422
    assert not Run.objects.exists()
    assert 'role="alert"' in page
    assert '<a href="#field-HOST">HOST</a>' in page
    assert 'id="field-HOST" aria-describedby="field-HOST-hint field-HOST-error" aria-invalid="true"' in page
    assert 'value="many"' in page
    assert "hunter2" not in page


def test_a_value_that_nobody_asked_for_is_refused_by_name(alice_client, library, a_runbook):
    library.add("restart.md", a_runbook())
    answer = alice_client.post(START, {"LD_PRELOAD": "/tmp/evil.so"})
    assert answer.status_code == 422
    assert "<li>LD_PRELOAD: " in text_of(answer)
    assert not Run.objects.exists()


def test_a_runbook_with_errors_does_not_start(alice_client, library, a_runbook):
    library.add("restart.md", a_runbook(language="brainfuck"))
    answer = alice_client.post(START)
    assert answer.status_code == 422
    assert "Nothing was started." in text_of(answer)
    assert not Run.objects.filter(state=State.QUEUED).exists()


def test_a_runbook_may_ask_to_be_confirmed(alice_client, library, a_runbook):
    library.add("restart.md", a_runbook(settings={"confirm": "true"}, requirements={"HOST": "The host"}))
    answer = alice_client.post(START)
    assert answer.status_code == 422
    assert '<a href="#why">Reason</a>: say in a few words why you run this now.' in text_of(answer)
    assert '<a href="#field-HOST">HOST</a>: a value is needed.' in text_of(answer)
    assert not Run.objects.exists()
    assert alice_client.post(START, {REASON: "The replica lags", "HOST": "db1"}).status_code == 302
    run = Run.objects.get()
    assert (run.values, run.reason) == ({"HOST": "db1"}, "The replica lags")


@pytest.mark.parametrize(
    ("reason", "message"),
    [(" \t", "say in a few words"), ("x" * 501, "this is longer than 500 characters")],
)
def test_what_is_no_reason_is_said_at_its_field_and_stays(alice_client, library, a_runbook, reason, message):
    library.add("restart.md", a_runbook(settings={"confirm": "true"}))
    answer = alice_client.post(START, {REASON: reason})
    assert answer.status_code == 422
    assert f'<a href="#why">Reason</a>: {message}' in text_of(answer)
    assert f'value="{reason.strip()}"' in text_of(answer)
    assert not Run.objects.exists()


def test_a_reason_is_recorded_as_one_line(alice_client, library, a_runbook):
    library.add("restart.md", a_runbook(settings={"confirm": "true"}))
    alice_client.post(START, {REASON: "  the replica\r\nlags\x1b[31m behind "})
    assert Run.objects.get().reason == "the replica lags [31m behind"


def test_the_address_from_which_a_run_is_started_is_recorded(alice_client, library, a_runbook):
    library.add("restart.md", a_runbook())
    alice_client.post(START, REMOTE_ADDR="2001:db8::7")
    assert Run.objects.get().address == "2001:db8::7"


def test_it_refuses_a_run_without_the_claim_and_names_it(bob_client, library, a_runbook):
    library.add("restart.md", a_runbook(claims={"roles": ["sre"]}))
    answer = bob_client.post(START)
    assert answer.status_code == 403
    assert "You need one of these roles: sre. You have: none." in text_of(answer)
    assert [run.state for run in Run.objects.all()] == [State.REFUSED]


def test_claims_that_cannot_be_read_let_nobody_run_it(alice_client, library, a_runbook):
    library.add("restart.md", a_runbook(claims={"roles": ["sre"]}).replace("roles: sre", "roles: [sre"))
    answer = alice_client.post(START)
    assert answer.status_code == 403
    assert "Required Claims cannot be read" in text_of(answer)


def test_nobody_starts_anything_without_signing_in(db, client, library, a_runbook):
    library.add("restart.md", a_runbook())
    assert client.post(START).url == "/login/"
    assert not Run.objects.exists()


def test_another_site_cannot_send_the_form(alice_client, library, a_runbook):
    library.add("restart.md", a_runbook())
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = alice_client.cookies
    assert strict.post(START).status_code == 403
    assert not Run.objects.exists()


def test_a_form_from_before_a_sign_in_starts_nothing_and_keeps_what_was_typed(alice_client, library, a_runbook):
    library.add("restart.md", a_runbook(requirements={"HOST": "The host", "API_TOKEN": "A token"}))
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = alice_client.cookies
    answer = strict.post(START, {"HOST": "db1", "API_TOKEN": "hunter2", "csrfmiddlewaretoken": "stale"})
    assert answer.status_code == 403
    assert 'value="db1"' in text_of(answer)
    assert "opened before you signed in" in text_of(answer)
    assert "hunter2" not in text_of(answer)
    assert not Run.objects.exists()


def test_who_cannot_start_it_now_finds_the_form_as_it_was_sent(alice_client, library, a_runbook):
    library.add("restart.md", a_runbook(requirements={"HOST": "The host", "API_TOKEN": "A token"}))
    drain.begin()
    answer = alice_client.post(START, {"HOST": "db1", "API_TOKEN": "hunter2"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, database.RETRY_AFTER)
    assert drain.SENTENCE in text_of(answer)
    assert 'value="db1"' in text_of(answer)
    assert 'Give again: <a href="#field-API_TOKEN">' in text_of(answer)
    assert "hunter2" not in text_of(answer)


@pytest.mark.parametrize("path", ["nothing.md", "../restart.md", "restart"])
def test_what_is_not_there_cannot_start(alice_client, library, path):
    assert alice_client.post(f"/runbooks/{path}/runs/").status_code == 404


def test_it_takes_a_form_and_nothing_else(alice_client, library, a_runbook):
    library.add("restart.md", a_runbook())
    assert alice_client.get(START).status_code == 405


def test_who_may_not_run_it_is_not_asked_to_confirm(bob_client, library, a_runbook):
    library.add("restart.md", a_runbook(claims={"roles": ["sre"]}, settings={"confirm": "true"}))
    assert bob_client.post("/runbooks/restart.md/runs/").status_code == 403
    assert Run.objects.get().state == State.REFUSED


def key_of(answer) -> str:
    """The key of the form on this page."""
    return re.search(r'name="runbookweb\.key" value="([^"]+)"', text_of(answer))[1]


def test_each_page_has_a_key_of_its_own(alice_client, library, a_runbook):
    library.add("restart.md", a_runbook())
    keys = {key_of(alice_client.get("/runbooks/restart.md/")) for _ in range(3)}
    assert {UUID(key).version for key in keys} == {4}
    assert len(keys) == 3


def test_a_form_that_is_sent_twice_starts_one_run_and_leads_to_it_twice(alice_client, library, a_runbook):
    library.add("restart.md", a_runbook(requirements={"HOST": "The host"}))
    form = {"HOST": "db1", "runbookweb.key": key_of(alice_client.get("/runbooks/restart.md/"))}
    answers = [alice_client.post(START, form) for _ in range(2)]
    run = Run.objects.get()
    assert [answer.url for answer in answers] == [f"/runs/{run.pk}/"] * 2
    assert run.values == {"HOST": "db1"}


def test_a_form_that_comes_back_changed_says_what_it_has_started_and_starts_another(alice_client, library, a_runbook):
    library.add("restart.md", a_runbook(requirements={"HOST": "The host"}))
    form = {"HOST": "db1", "runbookweb.key": key_of(alice_client.get("/runbooks/restart.md/"))}
    first = alice_client.post(START, form).url
    changed = alice_client.post(START, form | {"HOST": "db2"})
    assert changed.status_code == 422
    assert f'This form has started <a href="{first}">run #' in text_of(changed)
    assert 'value="db2"' in text_of(changed)
    assert Run.objects.count() == 1
    second = alice_client.post(START, {"HOST": "db2", "runbookweb.key": key_of(changed)}).url
    assert second == f"/runs/{Run.objects.latest('pk').pk}/" != first


@pytest.mark.parametrize("key", ["", "7", "x" * 36, "\x00", "é" * 32])
def test_without_a_sound_key_each_form_starts_a_run(alice_client, library, a_runbook, key):
    """A tab may have been open since before there were keys."""
    library.add("restart.md", a_runbook())
    for _ in range(2):
        assert alice_client.post(START, {"runbookweb.key": key}).status_code == 302
    assert Run.objects.count() == 2


def test_a_form_that_started_nothing_may_be_sent_again(alice_client, library, a_runbook):
    library.add("restart.md", a_runbook(requirements={"HOST": "The host"}))
    form = {"runbookweb.key": key_of(alice_client.get("/runbooks/restart.md/"))}
    assert alice_client.post(START, form).status_code == 422
    assert alice_client.post(START, form | {"HOST": "db1"}).status_code == 302
