"""The note on a run: put there and changed by whoever sees the run, and never over one that they have not seen."""

import re

import pytest
from django.utils import timezone

from runbooks.models import Run

HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def _a_runbook_for_sre(library, a_runbook):
    library.add("restart.md", a_runbook(claims={"roles": ["sre"]}))


def seen_by(client, run: Run) -> str:
    """What the form on the page says of the note that it shows."""
    return re.search(r'name="seen" value="([^"]*)"', client.get(run.get_absolute_url()).content.decode())[1]


def save(client, run: Run, note: str, *, seen: str | None = None, **headers: object):
    seen = seen_by(client, run) if seen is None else seen
    return client.post(f"/runs/{run.pk}/note/", {"note": note, "seen": seen}, **headers)


def test_a_note_stays_with_its_author_and_time(alice_client, a_run):
    run = a_run()
    assert save(alice_client, run, "The disk was full.\r\nIt is not any more.").url == f"/runs/{run.pk}/"
    noted = Run.objects.get()
    assert (noted.note, noted.noted_by) == ("The disk was full.\nIt is not any more.", "alice")
    assert (timezone.now() - noted.noted_at).total_seconds() < 60
    assert "The disk was full." in alice_client.get(run.get_absolute_url()).content.decode()


def test_a_note_can_be_changed_and_taken_away(alice_client, a_run):
    run = a_run(note="old", noted_by="bob", noted_at=timezone.now())
    for note in ("new", ""):
        assert save(alice_client, run, note).status_code == 302
        assert Run.objects.get().note == note
    assert "Add a note" in alice_client.get(run.get_absolute_url()).content.decode()


def test_a_note_that_was_left_as_it_is_stays_its_authors(alice_client, a_run):
    run = a_run(note="same", noted_by="bob", noted_at=timezone.now())
    assert save(alice_client, run, "same").status_code == 302
    assert Run.objects.get().noted_by == "bob"


def test_htmx_gets_the_note_alone(alice_client, a_run):
    answer = save(alice_client, a_run(), "Seen.", headers=HTMX)
    assert answer.status_code == 200
    assert answer.content.decode().lstrip().startswith('<section class="note note--written" id="note"')
    assert "<html" not in answer.content.decode()


@pytest.mark.parametrize(("length", "status"), [(2000, 302), (2001, 422)])
def test_a_note_has_a_greatest_length_in_which_an_end_of_line_counts_once(alice_client, a_run, length, status):
    note = "\r\n".join(["x" * (length // 2), "x" * (length - length // 2 - 1)])
    assert save(alice_client, a_run(), note).status_code == status


@pytest.mark.parametrize("headers", [{}, {"headers": HTMX}])
def test_what_was_typed_and_is_too_long_is_not_lost(alice_client, a_run, headers):
    answer = save(alice_client, a_run(), "too long " * 300, **headers)
    page = answer.content.decode()
    assert (answer.status_code, Run.objects.get().note) == (422, "")
    assert "A note has at most 2000 characters, and this one 2699. Shorten it, then save it." in page
    assert "too long too long" in page
    assert '<details class="note__change" data-focus="note-text" open>' in page


def test_a_note_with_a_nul_is_refused_in_words(alice_client, a_run):
    answer = save(alice_client, a_run(), "a\0b")
    assert answer.status_code == 422
    assert "Null characters are not allowed." in answer.content.decode()


@pytest.mark.parametrize(
    ("typed", "note"),
    [
        ("one\r\n\r\n\r\n\r\n \r\ntwo", "one\n\ntwo"),
        ("one\n\ntwo\n\tthree", "one\n\ntwo\n\tthree"),
        ("a\x1b[31mb\x07\x9fc\x7f", "a[31mbc"),
        ("\x07\n\n\n", ""),
    ],
)
def test_of_a_note_stays_what_can_be_read(alice_client, a_run, typed, note):
    assert save(alice_client, a_run(), typed).status_code == 302
    assert Run.objects.get().note == note


def test_of_what_is_far_too_long_some_comes_back(alice_client, a_run):
    answer = save(alice_client, a_run(), "x" * 1_000_000, headers=HTMX)
    assert (answer.status_code, answer.content.decode().count("x" * 20_000)) == (422, 1)
    assert len(answer.content) < 25_000


def test_a_note_cannot_read_differently_from_what_it_says(alice_client, a_run):
    run = a_run(note="do not \u202eeteled", noted_by="bob", noted_at=timezone.now())
    page = alice_client.get(run.get_absolute_url()).content.decode()
    assert '<p class="note__text typed">do not \ufffdeteled</p>' in page
    assert ">do not \u202eeteled</textarea>" in page


@pytest.mark.parametrize("headers", [{}, {"headers": HTMX}])
def test_a_note_that_one_has_not_seen_is_not_written_over(alice_client, a_run, headers):
    run = a_run()
    seen = seen_by(alice_client, run)
    Run.objects.update(note="of bob", noted_by="bob", noted_at=timezone.now())
    answer = save(alice_client, run, "of alice", seen=seen, **headers)
    page = answer.content.decode()
    assert (answer.status_code, Run.objects.get().note) == (409, "of bob")
    assert "bob has changed the note meanwhile." in page
    assert '<p class="note__text typed">of bob</p>' in page
    assert ">of alice</textarea>" in page
    now_seen = re.search(r'name="seen" value="([^"]*)"', page)[1]
    assert save(alice_client, run, "of alice", seen=now_seen).status_code == 302
    assert Run.objects.get().note == "of alice"


@pytest.mark.parametrize("seen", ["nonsense", "9" * 65, ""])
def test_what_says_nothing_of_the_note_before_changes_none(alice_client, a_run, seen):
    run = a_run(note="of bob", noted_by="bob", noted_at=timezone.now())
    assert save(alice_client, run, "of alice", seen=seen).status_code in (409, 422)
    assert Run.objects.get().note == "of bob"


def test_who_may_not_see_a_run_leaves_no_note(bob_client, a_run):
    run = a_run()
    assert save(bob_client, run, "hello", seen="").status_code == 404
    assert Run.objects.get().note == ""


def test_a_note_is_not_left_by_reading(alice_client, a_run):
    assert alice_client.get(f"/runs/{a_run().pk}/note/").status_code == 405
