"""What a runbook's form is filled in with: what was typed, the address, an earlier run, the defaults."""

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from runbooks.models import Run, State
from runbooks.web import run_form
from tests.conftest import client_of

PAGE = "/runbooks/restart.md/"
ASKING = {
    "HOST": "{default: db-1}",
    "ZONE": "{choices: [eu, us], default: eu}",
    "HOSTS": "{type: multichoice, choices: [web-1, web-2], required: false}",
    "DAY": "{type: date, required: false}",
    "PASSWORD": "{required: false}",
}


@pytest.fixture
def runbook(library, a_runbook):
    """Writes restart.md, and again with other requirements."""

    def write(requirements=ASKING, **contents: object) -> None:
        library.add("restart.md", a_runbook(requirements=requirements, **contents))

    write()
    return write


@pytest.fixture
def earlier(db, runbook):
    """A run of alice's with these values."""

    def create(actor: str = "alice", **fields: object) -> Run:
        values = {"HOST": "db-9", "ZONE": "us", "HOSTS": "web-1\nweb-2", "DAY": "2026-11-22", "PASSWORD": "***"}
        fields = {"runbook": "restart.md", "values": values, "timeout": 600, "source": "# restart", **fields}
        return Run.objects.create(actor=actor, state=fields.pop("state", State.SUCCEEDED), **fields)

    return create


def page_of(client, query: str = "") -> str:
    answer = client.get(PAGE + query)
    assert answer.status_code == 200
    return answer.content.decode()


def field(page: str, name: str) -> str:
    """The markup of one field."""
    return re.search(rf'data-check="{name}"\s*>(.*?)<div class="field__message"', page, re.DOTALL)[1]


def chosen(page: str, name: str) -> list[str]:
    return re.findall(r'value="([^"]+)" (?:checked|selected)', field(page, name))


def typed(page: str, name: str) -> str:
    return re.search(r'<input [^>]*value="([^"]*)"', field(page, name))[1]


def test_a_form_that_nobody_has_filled_in_has_the_defaults(alice_client, runbook):
    page = page_of(alice_client)
    assert (typed(page, "HOST"), chosen(page, "ZONE"), chosen(page, "HOSTS")) == ("db-1", ["eu"], [])
    assert "of last time" not in page


def test_a_long_name_goes_on_in_the_next_line_after_an_underscore_alone(alice_client, runbook):
    runbook({"ZONE_OF_THE_PRIMARY": "where it is now"})
    assert '<label class="field__label" for="field-ZONE_OF_THE_PRIMARY">' in page_of(alice_client)
    assert ">ZONE_<wbr>OF_<wbr>THE_<wbr>PRIMARY</label>" in page_of(alice_client)


def test_the_next_form_has_ones_own_values_of_last_time_and_says_so(alice_client, earlier):
    run = earlier()
    page = page_of(alice_client)
    assert (typed(page, "HOST"), chosen(page, "ZONE")) == ("db-9", ["us"])
    assert (chosen(page, "HOSTS"), typed(page, "DAY")) == (["web-1", "web-2"], "2026-11-22")
    assert "optional · from last time" in field(page, "HOST")
    assert f'Your values of last time,\n      <a href="/runs/{run.pk}/">run #{run.pk}</a>.' in page


def test_the_way_back_to_the_defaults_is_a_link(alice_client, earlier):
    earlier()
    assert f'href="{PAGE}?fresh=1#execute"' in page_of(alice_client)
    assert typed(page_of(alice_client, "?fresh=1"), "HOST") == "db-1"


@pytest.mark.parametrize(
    "other",
    [{"actor": "bob"}, {"runbook": "other.md"}, {"state": State.REFUSED}],
)
def test_only_ones_own_runs_of_this_runbook_are_remembered(alice_client, earlier, other):
    earlier(**other)
    assert typed(page_of(alice_client), "HOST") == "db-1"


def test_what_a_script_has_started_is_not_remembered(alice_client, earlier):
    earlier(parent=earlier(values={"HOST": "mine"}))
    assert typed(page_of(alice_client), "HOST") == "mine"


def test_a_run_that_is_long_past_is_not_looked_for(alice_client, earlier, monkeypatch):
    earlier()
    earlier(runbook="other.md")
    monkeypatch.setattr(run_form, "LOOKED_AT", 1)
    assert typed(page_of(alice_client), "HOST") == "db-1"


def test_a_secret_is_never_filled_in(alice_client, earlier):
    earlier(values={"PASSWORD": "hunter2"})
    for query in ("", "?PASSWORD=hunter2", "?fresh=1&PASSWORD=hunter2"):
        assert "hunter2" not in page_of(alice_client, query)


def test_what_was_a_secret_then_is_not_filled_in_as_stars(alice_client, earlier):
    earlier(values={"HOST": "***"})
    assert typed(page_of(alice_client), "HOST") == "db-1"


def test_what_does_not_fit_any_more_falls_back_to_the_default(alice_client, runbook, earlier):
    earlier()
    runbook(ASKING | {"ZONE": "{choices: [eu, asia], default: eu}", "HOST": "{pattern: 'pg-.', default: pg-1}"})
    page = page_of(alice_client)
    assert (typed(page, "HOST"), chosen(page, "ZONE"), typed(page, "DAY")) == ("pg-1", ["eu"], "2026-11-22")


def test_the_address_comes_before_last_time(alice_client, earlier):
    earlier()
    page = page_of(alice_client, "?HOST=db-2&HOSTS=web-2&NOBODY=asked")
    assert (typed(page, "HOST"), chosen(page, "HOSTS"), chosen(page, "ZONE")) == ("db-2", ["web-2"], ["us"])
    assert "optional · from the address" in field(page, "HOST")


def test_several_may_be_chosen_in_the_address(alice_client, runbook):
    assert chosen(page_of(alice_client, "?HOSTS=web-1&HOSTS=web-2"), "HOSTS") == ["web-1", "web-2"]


def test_what_the_address_asks_for_in_vain_is_said_and_not_replaced(alice_client, earlier):
    earlier()
    page = page_of(alice_client, "?ZONE=asia&DAY=2026-02-30")
    assert '<option value="">Choose one</option>' in field(page, "ZONE")
    assert chosen(page, "ZONE") == []
    assert "&#x27;asia&#x27; in the address does not fit: choose one of: eu, us." in page
    assert "&#x27;2026-02-30&#x27; in the address does not fit: this must be a day of the calendar" in page
    assert "Nothing was started" not in page


def test_a_run_can_be_had_again_with_its_values(alice_client, earlier):
    run = earlier(actor="bob")
    earlier(values={"HOST": "db-3"})
    page = page_of(alice_client, f"?run={run.pk}&ZONE=eu")
    assert (typed(page, "HOST"), chosen(page, "ZONE")) == ("db-9", ["eu"])
    assert f"from run #{run.pk}" in field(page, "HOST")
    assert re.search(rf"Filled in with the values of\s+<a [^>]*>run #{run.pk}</a> by bob\.", page)


def test_a_run_that_one_may_not_see_is_not_there(earlier, runbook):
    run = earlier()
    runbook(claims={"roles": ["dba"]})
    assert client_of("bob").get(f"{PAGE}?run={run.pk}").status_code == 404
    assert client_of("dora", "dba").get(f"{PAGE}?run={run.pk}").status_code == 200


@pytest.mark.parametrize("number", ["0", "x", "", "9" * 30, "-1", "٣"])
def test_a_run_that_is_not_there_is_said(alice_client, runbook, number):
    answer = alice_client.get(PAGE, {"run": number})
    assert answer.status_code == 404
    assert "of this runbook, or you may not see it" in answer.content.decode() or number == "0"


def test_the_run_of_another_runbook_is_not_taken(alice_client, earlier):
    run = earlier(runbook="other.md")
    assert alice_client.get(f"{PAGE}?run={run.pk}").status_code == 404


def test_what_was_typed_comes_before_all(alice_client, earlier):
    earlier()
    answer = alice_client.post(f"{PAGE}runs/", {"HOST": "typed", "ZONE": "asia", "HOSTS": ["", "web-2"]})
    page = answer.content.decode()
    assert (typed(page, "HOST"), chosen(page, "HOSTS")) == ("typed", ["web-2"])
    assert "from last time" not in page


def test_boxes_of_which_none_is_ticked_are_none(alice_client, runbook):
    alice_client.post(f"{PAGE}runs/", {"HOSTS": [""]})
    alice_client.post(f"{PAGE}runs/", {"HOSTS": ["", "web-2", "web-1"]})
    assert [run.values["HOSTS"] for run in Run.objects.order_by("pk")] == ["", "web-1\nweb-2"]


def test_a_file_is_sent_with_the_form_and_said_to_have_been_there(alice_client, runbook):
    runbook({"DUMP": "{type: file}"})
    assert 'enctype="multipart/form-data"' in page_of(alice_client)
    alice_client.post(f"{PAGE}runs/", {"DUMP": SimpleUploadedFile("../my dump.sql", b"select 1;")})
    run = Run.objects.get()
    assert run.values["DUMP"].startswith("my_dump.sql (9 bytes, sha256 ")
    assert "It was my_dump.sql (9 bytes). Choose it again" in page_of(alice_client)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (None, "A file is needed."),
        (b"", "This file is empty; choose another."),
        (b"x" * 2_500_001, "With this file all files together are larger than 2,500,000 bytes."),
    ],
)
def test_what_is_wrong_with_a_file_is_said_at_its_field(alice_client, runbook, file, message):
    runbook({"DUMP": "{type: file}"})
    answer = alice_client.post(f"{PAGE}runs/", {} if file is None else {"DUMP": SimpleUploadedFile("a", file)})
    assert answer.status_code == 422
    assert f"<span>{message}</span>" in answer.content.decode()
    assert not Run.objects.exists()


def test_what_the_server_provides_is_shown_as_provided_and_may_be_left_empty(
    alice_client, runbook, settings, monkeypatch
):
    runbook({"REGION": "{choices: [eu, us]}", "AUDITED": "{type: boolean, default: true}", "HOST": "which one"})
    settings.SCRIPT_ENV = ("REGION", "AUDITED")
    monkeypatch.setenv("REGION", "eu")
    monkeypatch.setenv("AUDITED", "true")
    page = page_of(alice_client)
    assert page.count("provided by the server") == 2
    assert page.count('<option value="" selected>Use the value of the server</option>') == 2
    assert alice_client.post(f"{PAGE}runs/", {"REGION": "", "AUDITED": "", "HOST": "db-1"}).status_code == 302
    assert Run.objects.get().values == {"HOST": "db-1"}


def test_a_runbook_that_asks_why_asks_each_time_anew(alice_client, earlier, runbook):
    runbook(settings={"confirm": "true"})
    earlier(reason="the disk was full")
    page = page_of(alice_client)
    assert "Why do you run this now?" in page
    assert "the disk was full" not in page


GIVEN = {"DUMP": "{type: file, required: false}", "API_TOKEN": "{required: false}", "COUNT": "{type: number}"}


def given(**values: object) -> dict[str, object]:
    return {"DUMP": SimpleUploadedFile("a.sql", b"select 1;"), "API_TOKEN": "hunter2", "COUNT": "many", **values}


def test_a_file_and_a_secret_that_were_given_in_vain_are_asked_for_again(alice_client, runbook):
    runbook(GIVEN)
    page = alice_client.post(f"{PAGE}runs/", given()).text
    assert '<li>Give again: <a href="#field-DUMP">DUMP</a>, <a href="#field-API_TOKEN">API_TOKEN</a></li>' in page
    for name, words in (("DUMP", "Choose the file again: nothing was"), ("API_TOKEN", "Type it again: nothing was")):
        hint = re.search(rf'id="field-{name}-hint">(.*?)</p>', page, re.DOTALL)[1]
        assert words in hint
        assert f'aria-describedby="field-{name}-hint ' in page
    assert "hunter2" not in page


@pytest.mark.parametrize("secret", ["multiline", "choice", "boolean"])
def test_a_secret_of_any_kind_is_asked_for_again(alice_client, runbook, secret):
    options = {"choice": ", choices: [true, maybe]"}.get(secret, "")
    runbook({"KEY": f"{{type: {secret}, required: false{options}}}", "COUNT": "{type: number}"})
    page = alice_client.post(f"{PAGE}runs/", {"KEY": "true", "COUNT": "many"}).text
    assert "it again: nothing was started, and secrets are not kept." in page


def test_what_was_not_given_or_is_wrong_is_not_asked_for_again(alice_client, runbook):
    runbook(GIVEN | {"API_TOKEN": "{pattern: '[0-9]+'}", "FORCE_TOKEN": "{type: boolean}"})
    form = {"API_TOKEN": "hunter2", "COUNT": "3", "FORCE_TOKEN": "false"}
    page = alice_client.post(f"{PAGE}runs/", form).text
    assert '<a href="#field-API_TOKEN">API_TOKEN</a>: ' in page
    assert "again: nothing was started" not in page
    assert "Give again" not in page
    assert "again: nothing was started" not in page_of(alice_client, "?API_TOKEN=1")


def test_a_form_that_has_expired_asks_again_too(alice_client, runbook):
    runbook(GIVEN)
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = alice_client.cookies
    answer = strict.post(f"{PAGE}runs/", given(COUNT="3", csrfmiddlewaretoken="stale"))
    assert answer.status_code == 403
    assert "Give again: " in answer.text
    assert "Choose the file again: nothing was started, and files are not kept." in answer.text
