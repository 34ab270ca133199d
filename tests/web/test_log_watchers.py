"""Who else is watching a run, in words; how it arrives is among the tests of streams."""

import pytest

from runbooks.access.actor import Actor
from runbooks.models import Run
from runbooks.web.watchers import others, sentence, watchers_html, watching


@pytest.mark.parametrize(
    ("people", "words"),
    [
        ("", ""),
        ("bob", "bob is watching too"),
        ("bob carol", "bob and carol are watching too"),
        ("bob carol dora erin", "bob, carol, dora and erin are watching too"),
        ("bob carol dora erin frank", "bob, carol, dora and 2 more are watching too"),
    ],
)
def test_the_others_are_named_as_one_would_say_it(people, words):
    assert sentence(people.split()) == words


def test_two_pages_of_a_person_count_once_and_one_s_own_not_at_all():
    alice, bob, run = Actor("alice"), Actor("bob"), Run(pk=1)
    with watching(alice, run), watching(bob, run):
        with watching(bob, run):
            assert others(alice, run) == ("bob",)
        assert (others(alice, run), others(bob, run)) == (("bob",), ("alice",))
        assert others(alice, Run(pk=2)) == ()
    assert others(alice, run) == ()


def test_a_name_is_text_and_no_markup():
    assert "&lt;b&gt; is watching too" in watchers_html(["<b>"])
