"""What a run's page says besides its log: what exactly ran, how far it is, and what has become of its runbook."""

import hashlib
import re
from datetime import timedelta
from html import unescape

import pytest
from django.utils import timezone

from runbooks.models import Run, State

SCRIPT = 'set -e\necho "hello $HOST"'


def text_of(answer) -> str:
    """A page's words, without its tags."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())).split())


def page_of(client, run: Run) -> str:
    return client.get(run.get_absolute_url()).content.decode()


def words_of(client, run: Run) -> str:
    return text_of(client.get(run.get_absolute_url()))


@pytest.fixture
def source(library, a_runbook) -> str:
    """restart.md as it is in the library; a run's source is this without its History."""
    library.add("restart.md", a_runbook(script=SCRIPT, claims={"roles": ["sre", "dba"]}))
    return a_runbook(script=SCRIPT, claims={"roles": ["sre", "dba"]}).partition("# History")[0]


def took(seconds: float) -> dict[str, object]:
    ended = timezone.now() - timedelta(hours=1)
    return {"state": State.SUCCEEDED, "started_at": ended - timedelta(seconds=seconds), "ended_at": ended}


def begun(seconds: float) -> dict[str, object]:
    return {"state": State.RUNNING, "started_at": timezone.now() - timedelta(seconds=seconds)}


def test_it_shows_the_script_with_its_digest_and_a_way_to_copy_it(alice_client, a_run, source):
    page = page_of(alice_client, a_run(source=source))
    assert '<span class="nb">echo</span>' in page
    assert hashlib.sha256(f"{SCRIPT}\n".encode()).hexdigest() in page
    assert 'data-copy="#script-text"' in page
    assert 'id="script-text"' in page


def test_it_shows_who_asked_from_where_why_and_by_which_claims(alice_client, a_run, source):
    claims = {"roles": ["sre", "oncall"], "team": ["storage"]}
    asked = {"address": "192.0.2.7", "reason": "The replica lags.", "correlation_id": "abc-123", "claims": claims}
    words = words_of(alice_client, a_run(source=source, **asked))
    assert "By alice From 192.0.2.7" in words
    assert "Reason The replica lags." in words
    assert "Claim roles sre (one of sre, dba)" in words
    assert "Correlation id abc-123" in words
    assert "storage" not in words  # what the runbook does not ask for, nobody has used


def test_a_secret_is_said_to_be_one(alice_client, a_run, source):
    words = words_of(alice_client, a_run(source=source, values={"HOST": "db1", "API_TOKEN": "***", "EMPTY": ""}))
    assert "API_TOKEN *** (secret: kept nowhere) EMPTY empty HOST db1" in words


@pytest.mark.parametrize(
    ("is_dirty", "said"),
    [
        (False, "Git revision 0123456789ab Correlation"),
        (True, "0123456789ab with changes in the runbook's file that were not committed"),
        (None, "0123456789ab (whether the runbook's file was changed is not known)"),
    ],
)
def test_it_shows_the_git_revision_and_whether_that_is_all(alice_client, a_run, source, is_dirty, said):
    run = a_run(source=source, revision="0123456789abcdef" * 2, is_dirty=is_dirty, correlation_id="abc")
    assert said in words_of(alice_client, run)


def test_a_run_without_a_checkout_says_nothing_of_one(alice_client, a_run, source):
    assert "Git revision" not in words_of(alice_client, a_run(source=source))


def test_run_again_takes_the_values_along_and_compare_the_run_before(alice_client, a_run, source):
    earlier = a_run(source=source, **took(5))
    a_run(state=State.REFUSED)
    a_run(source=source, **begun(5))
    run = a_run(source=source, **took(5))
    page = page_of(alice_client, run)
    assert f'href="/runbooks/restart.md/?run={run.pk}"' in page
    assert f'href="/runs/compare/?a={earlier.pk}&amp;b={run.pk}"' in page
    assert "/runs/compare/" not in page_of(alice_client, earlier)


def test_what_goes_on_is_neither_run_again_nor_compared(alice_client, a_run, source):
    a_run(source=source, **took(5))
    words = words_of(alice_client, a_run(source=source, **begun(5)))
    assert "Run again" not in words
    assert "Compare with" not in words


def test_a_run_whose_file_is_gone_leads_to_no_page_that_is_not_there(alice_client, a_run, source):
    run = a_run("gone.md", source=source, **took(5))
    assert "/runbooks/gone.md/" not in page_of(alice_client, run)
    words = words_of(alice_client, run)
    assert "The runbook's file is not there any more, so this cannot be run again. What ran is kept below." in words
    assert 'echo "hello $HOST"' in words


def test_its_time_is_measured_against_the_usual_one(alice_client, a_run, source):
    for seconds in (100, 200, 300):
        a_run(source=source, **took(seconds))
    run = a_run(source=source, **begun(50))
    page = page_of(alice_client, run)
    assert re.search(r'<progress [^>]*max="200.0" value="5\d\.\d"', page)
    assert re.search(r'<p class="elapsed__words" [^>]*data-elapsed-to="300.0">usually 3 min 20 s', page)
    assert re.search(r'<p class="elapsed__words elapsed__words--late" hidden ', page)


def test_its_time_is_not_measured_against_runs_of_others_that_one_may_not_see(alice_client, a_run, source):
    for _ in range(3):
        a_run("gone.md", source=source, actor="zoe", **took(100))
    page = page_of(alice_client, a_run("gone.md", source=source, actor="alice", **begun(50)))
    assert "usually" not in page
    assert "<progress" not in page


def test_one_that_takes_long_is_calmly_said_to(alice_client, a_run, source):
    for seconds in (100, 200, 300):
        a_run(source=source, **took(seconds))
    page = page_of(alice_client, a_run(source=source, **begun(301)))
    assert re.search(r'<p class="elapsed__words" hidden ', page)
    assert re.search(
        r'<p class="elapsed__words elapsed__words--late" data-[^>]*>longer than usual, which is 3 min', page
    )


def test_of_what_takes_a_moment_nobody_is_told_how_long(alice_client, a_run, source):
    for _ in range(3):
        a_run(source=source, **took(0.1))
    assert "<progress" not in page_of(alice_client, a_run(source=source, **begun(5)))


def test_a_queued_run_says_how_long_it_waits(alice_client, a_run, source):
    words = words_of(alice_client, a_run(source=source, queued_at=timezone.now() - timedelta(minutes=3, seconds=5)))
    assert "Waiting for 3 min 5 s" in words


def test_cancel_asks_before_it_does_anything(alice_client, a_run, source):
    page = page_of(alice_client, run := a_run(source=source, **begun(5)))
    assert 'type="button" popovertarget="cancel"' in page
    question = page.partition('<dialog class="ask" id="cancel" popover')[2].partition("</dialog>")[0]
    assert "It gets 10 s to end by itself, then it is killed, with all that it has started." in question
    assert f'action="/runs/{run.pk}/cancellation/"' in question
    assert "/cancellation/" not in page.replace(question, "")


@pytest.mark.parametrize(
    ("seconds", "waits", "kills"),
    [
        (3, r'<li class="ending__step" data', r'<li class="ending__step" hidden data-[^>]*data-elapsed-from="10"'),
        (15, r'<li class="ending__step" hidden data', r'<li class="ending__step" data-[^>]*data-elapsed-from="10"'),
    ],
)
def test_what_cancel_does_is_told_while_it_does_it(alice_client, a_run, source, seconds, waits, kills):
    asked = {"cancelled_by": "bob", "cancelled_at": timezone.now() - timedelta(seconds=seconds)}
    page = page_of(alice_client, a_run(source=source, **begun(60), **asked))
    assert "bob asked to end it." in page
    assert re.search(waits, page)
    assert re.search(kills, page)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"killed": 3}, "bob asked to end it. It did not end by itself: 3 processes had to be killed."),
        ({"killed": 1}, "It did not end by itself: 1 process had to be killed."),
        ({}, "bob asked to end it. It ended by itself, and nothing had to be killed."),
        ({"started_at": None}, "bob asked to end it before it began: nothing ran."),
        ({"state": State.TIMED_OUT, "killed": 2}, "was ended; 2 processes had to be killed."),
        ({"state": State.LOST}, "check what it has changed, and only then run it again."),
    ],
)
def test_how_it_ended_is_told_in_words(alice_client, a_run, source, fields, said):
    ended = {**took(5), "state": State.CANCELLED, "cancelled_by": "bob", "cancelled_at": timezone.now()}
    assert said in words_of(alice_client, a_run(source=source, **{**ended, **fields}))


def test_a_refused_run_names_what_was_missing(alice_client, a_run, source):
    run = a_run(actor="bob", source="", state=State.REFUSED, return_code=403, claims={"roles": ["dev"]})
    assert "It needs one of these roles: sre, dba ; bob had: dev." in words_of(alice_client, run)


def test_the_state_alone_is_for_pages_without_a_stream(alice_client, a_run, source):
    answer = alice_client.get(f"/runs/{a_run(source=source, **begun(5)).pk}/state/")
    html = answer.content.decode()
    assert html.startswith('<div id="run-state" ')
    assert 'data-active="true" data-state="running" data-runbook="restart" data-cancelled="false"' in html
    assert "<html" not in html
    assert "no-store" in answer["Cache-Control"]


def test_the_state_is_for_reading_and_of_runs_that_are_there(alice_client, a_run, source):
    assert alice_client.post(f"/runs/{a_run(source=source).pk}/state/").status_code == 405
    assert alice_client.get("/runs/404/state/").status_code == 404


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7|add:7 }}"])
def test_nothing_that_people_wrote_is_more_than_text(alice_client, a_run, library, a_runbook, hostile):
    library.add("restart.md", a_runbook())
    source = a_runbook(script=f"echo '{hostile}'", language=f"sh{hostile}")
    asked = {"reason": hostile, "note": hostile, "noted_by": hostile, "noted_at": timezone.now(), "revision": hostile}
    page = page_of(alice_client, a_run(source=source, address=hostile[:45], correlation_id=hostile, **asked, **took(5)))
    assert hostile not in page or "{{" in hostile
    assert "14" not in words_of(alice_client, Run.objects.get()).partition("Reason")[2].partition("Requested")[0]
