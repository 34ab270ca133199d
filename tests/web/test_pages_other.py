"""The configuration, the frame around each page, errors, and the review for Django's staff."""

import pytest
from django.test import Client

from runbooks.templatetags import show
from runbooks.web import errors, run_page


def text_of(answer) -> str:
    return answer.content.decode()


def test_the_configuration_shows_each_variable_with_its_source(alice_client, settings):
    page = text_of(alice_client.get("/configuration/"))
    assert "<code>SCRIPT_TIMEOUT_SECONDS</code>" in page
    assert "How long a script may run" in page
    assert settings.CONFIGURATION.SECRET_KEY not in page
    assert "***" in page


def test_the_configuration_says_who_one_is(alice_client):
    page = text_of(alice_client.get("/configuration/"))
    assert "<dt>Id</dt><dd>alice</dd>" in page
    assert "<dt>Roles</dt><dd>sre</dd>" in page
    assert "<dt>From</dt><dd>127.0.0.1</dd>" in page


def test_the_configuration_is_for_reading(alice_client):
    assert alice_client.post("/configuration/").status_code == 405


def test_each_page_has_the_header_and_marks_where_one_is(alice_client, library, settings):
    settings.UI_HEADER = "Night shift <b>"
    page = text_of(alice_client.get("/runs/"))
    assert "Night shift &lt;b&gt;" in page
    assert 'href="/runs/" aria-current="page"' in page
    assert ">Sign out</button>" in page


def test_pages_are_kept_by_no_cache_and_run_no_foreign_script(alice_client, library):
    answer = alice_client.get("/runbooks/")
    assert "no-store" in answer.headers["Cache-Control"]
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy.split("; ")
    assert "unsafe" not in policy
    assert "<script>" not in text_of(answer)
    assert " style=" not in text_of(answer)


def test_an_unknown_address_is_answered_in_words(db, client):
    answer = client.get("/nowhere/")
    assert answer.status_code == 404
    assert "No page has this address." in text_of(answer)


def test_what_is_missing_can_be_searched_for(alice_client, library):
    answer = alice_client.get("/runbooks/db/restart-replica.md/?run=7")
    assert answer.status_code == 404
    assert "There is no runbook db/restart-replica.md." in text_of(answer)
    assert 'type="search" name="q" value="restart replica"' in text_of(answer)


@pytest.mark.parametrize("address", ["/runs/999/", "/runs/compare/?a=999&b=998", "/runbooks/restart.md/?run=999"])
def test_a_run_that_is_missing_is_looked_for_among_runs(alice_client, library, a_runbook, address):
    library.add("restart.md", a_runbook())
    page = text_of(alice_client.get(address))
    assert "There is no run #999" in page
    assert page.count("may not see it") == 1
    assert '<a class="button button--main" href="/runs/">All runs</a>' in page
    assert 'type="search"' not in page


def test_no_other_address_is_searched_for_as_a_runbook(alice_client):
    page = text_of(alice_client.get("/nowhere/7/"))
    assert "The address may be mistyped" in page
    assert "All runs" not in page
    assert 'type="search"' not in page


@pytest.mark.parametrize("address", ["/nowhere/", "/runbooks/nowhere/else"])
def test_a_stranger_is_offered_no_search(db, client, address):
    assert 'type="search"' not in text_of(client.get(address))


@pytest.mark.parametrize("address", ["/logout/", "/runbooks/a.md/runs/", "/runs/1/cancellation/"])
def test_an_address_that_only_does_something_says_so(alice_client, address):
    answer = alice_client.get(address)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert "This address only does something" in text_of(answer)


def test_what_is_too_large_is_told_apart(alice_client, library, a_runbook, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    library.add("a.md", a_runbook(name="a"))
    answer = alice_client.post("/runbooks/a.md/runs/", {"value-TEXT": "x" * 1000})
    assert answer.status_code == 413
    assert "Nothing was done, and nothing was started." in text_of(answer)


def test_a_missing_claim_is_named_with_who_can_give_it(alice_client, library, a_runbook, settings):
    library.add("guarded.md", a_runbook(name="guarded", claims={"roles": ["dba"]}))
    page = text_of(alice_client.post("/runbooks/guarded.md/runs/"))
    assert "You need one of these roles: dba. You have: sre." in page
    assert "you choose your roles yourself" in page
    settings.ENABLE_LOGIN = False
    assert "your identity provider" in text_of(alice_client.post("/runbooks/guarded.md/runs/"))


def test_an_account_is_told_of_its_groups(admin_user, library, a_runbook):
    library.add("guarded.md", a_runbook(name="guarded", claims={"roles": ["dba"]}))
    client = Client()
    client.force_login(admin_user)
    assert "add your account to a group" in text_of(client.post("/runbooks/guarded.md/runs/"))


@pytest.mark.parametrize(
    ("address", "marked"),
    [
        ("/runs/", 'href="/runs/" aria-current="page"'),
        ("/runs/?state=failed", 'href="/runs/" aria-current="page"'),
        ("/runs/7/", 'href="/runs/" aria-current="true"'),
        ("/runbooks/a.md/", 'href="/runbooks/" aria-current="true"'),
        ("/doctor/", 'href="/configuration/" aria-current="true"'),
    ],
)
def test_the_navigation_says_where_one_is(alice_client, library, address, marked):
    page = text_of(alice_client.get(address))
    assert marked in page
    assert page.count("aria-current") == 1


def test_a_fault_of_ours_is_answered_without_its_details(alice_client, monkeypatch):
    def fail(*_):
        raise RuntimeError("the database password is hunter2")

    monkeypatch.setattr(run_page.library, "run_for", fail)
    alice_client.raise_request_exception = False
    answer = alice_client.get("/runs/1/")
    assert answer.status_code == 500
    assert "The server could not answer." in text_of(answer)
    assert "hunter2" not in text_of(answer)
    assert f'<code class="error__reference">{answer.headers["X-Correlation-Id"]}</code>' in text_of(answer)


def test_the_page_of_a_fault_needs_no_request(rf):
    assert b"The server could not answer." in errors.server_error(rf.get("/")).content


def test_a_foreign_host_name_is_answered_in_words(client):
    answer = client.get("/", headers={"host": "evil.example"})
    assert answer.status_code == 400
    assert "This request cannot be read" in text_of(answer)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        *((0.04, "40 ms"), (9.96, "10.0 s"), (59.9, "59 s"), (60, "1 min"), (900, "15 min"), (3605, "1 h")),
        *((3700, "1 h 1 min"), (200000, "2 d 7 h"), (-0.1, "0 ms"), (None, "\N{EN DASH}")),
    ],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds, words):
    assert show.duration(seconds) == words


@pytest.fixture
def staff_client(admin_user) -> Client:
    client = Client()
    client.force_login(admin_user)
    return client


def test_staff_may_review_runs(staff_client, a_run):
    run = a_run(state="failed", sealed_values=b"sealed-bytes", values={"HOST": "db1"})
    assert f"/admin/runbooks/run/{run.pk}/change/" in text_of(staff_client.get("/admin/runbooks/run/?q=restart"))
    page = text_of(staff_client.get(f"/admin/runbooks/run/{run.pk}/change/"))
    assert "db1" in page
    assert "sealed" not in page


def test_staff_may_change_nothing(staff_client, a_run):
    run = a_run()
    change = f"/admin/runbooks/run/{run.pk}/"
    assert staff_client.get("/admin/runbooks/run/add/").status_code == 403
    assert staff_client.post(change + "change/", {"state": "succeeded"}).status_code == 403
    assert staff_client.post(change + "delete/", {"post": "yes"}).status_code == 403
    run.refresh_from_db()
    assert run.state == "queued"


@pytest.mark.parametrize("filters", ["state__exact=queued", "queued_at__gte=2020-01-01+00:00:00%2B00:00", "q=restart"])
def test_the_review_can_be_filtered(staff_client, a_run, filters):
    run = a_run()
    assert f"/runbooks/run/{run.pk}/" in text_of(staff_client.get(f"/admin/runbooks/run/?{filters}"))


@pytest.mark.parametrize(
    "address",
    [
        "/admin/runbooks/run/?actor__regex=(a%2B)%2B$",
        "/admin/auth/user/?username__iregex=(a%2B)%2B$",
        "/admin/runbooks/run/?claims__contains=x",
        "/admin/runbooks/run/?queued_at__year=99999",
        "/admin/runbooks/run/?id__range=1",
    ],
)
def test_no_lookup_in_an_address_stops_the_server(staff_client, django_user_model, a_run, address):
    patient = "a" * 60 + "!"  # a pattern that tries everything would need longer than anybody lives
    a_run(actor=patient)
    django_user_model.objects.create_user(patient)
    answer = staff_client.get(address)
    assert answer.status_code == 400 or answer.url.endswith("?e=1")


def test_the_review_is_not_for_others(alice_client):
    assert alice_client.get("/admin/runbooks/run/").status_code == 302
