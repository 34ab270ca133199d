"""Starring a runbook: per person, with JavaScript and without it."""

import pytest
from django.db import IntegrityError

from runbooks.models import Favourite


@pytest.fixture(autouse=True)
def _two_runbooks(library, a_runbook):
    library.add("db/restart.md", a_runbook(claims={"roles": ["sre"]}))
    library.add("web/purge.md", a_runbook(name="purge"))


def starred() -> list[tuple[str, str]]:
    return list(Favourite.objects.values_list("actor", "runbook"))


def text_of(answer) -> str:
    return answer.content.decode()


def star(client, path: str, *, wanted: bool = True, **given: object):
    return client.post(f"/runbooks/{path}/favourite/", {"wanted": str(wanted).lower(), **given})


def test_a_star_is_set_once_and_taken_away(alice_client):
    for _ in range(2):
        assert star(alice_client, "web/purge.md").url == "/runbooks/web/purge.md/"
    assert starred() == [("alice", "web/purge.md")]
    star(alice_client, "web/purge.md", wanted=False)
    assert starred() == []


def test_the_path_may_lack_its_ending(alice_client):
    star(alice_client, "web/purge")
    assert starred() == [("alice", "web/purge.md")]


def test_a_favourite_is_the_first_of_ones_own_list_alone(alice_client, bob_client):
    star(alice_client, "web/purge.md")
    page = text_of(alice_client.get("/runbooks/"))
    assert (
        page.index("Favourites</h2>") < page.index("/runbooks/web/purge.md/") < page.index("/runbooks/db/restart.md/")
    )
    assert "Favourites</h2>" not in text_of(bob_client.get("/runbooks/"))


def test_its_page_says_that_it_is_one(alice_client):
    star(alice_client, "web/purge.md")
    assert 'aria-pressed="true" aria-label="Favourite: purge"' in text_of(alice_client.get("/runbooks/web/purge.md/"))
    assert 'aria-pressed="false" aria-label="Favourite: restart"' in text_of(
        alice_client.get("/runbooks/db/restart.md/")
    )


def test_htmx_gets_the_star_alone(alice_client):
    address = "/runbooks/web/purge.md/favourite/"
    answer = alice_client.post(address, {"wanted": "true"}, headers={"HX-Request": "true"})
    assert text_of(answer).startswith('<button class="star"')
    assert 'aria-pressed="true"' in text_of(answer)


@pytest.mark.parametrize(("query", "back"), [("", "/runbooks/"), ("a&b //x", "/runbooks/?q=a%26b+%2F%2Fx")])
def test_from_the_list_one_comes_back_to_the_same_list(alice_client, query, back):
    assert star(alice_client, "web/purge.md", search=query).url == back


def test_what_one_may_only_read_can_be_a_favourite_too(bob_client):
    star(bob_client, "db/restart.md")
    page = text_of(bob_client.get("/runbooks/"))
    assert page.index("Favourites</h2>") < page.index("/runbooks/db/restart.md/")


def test_a_runbook_that_is_not_there_cannot_be_starred(alice_client):
    assert star(alice_client, "nothing.md").status_code == 404
    assert starred() == []


def test_a_star_of_a_file_that_is_gone_harms_nobody(alice_client, library):
    star(alice_client, "web/purge.md")
    (library.root / "web/purge.md").unlink()
    assert "purge" not in text_of(alice_client.get("/runbooks/"))


def test_starring_is_no_reading(alice_client):
    assert alice_client.get("/runbooks/web/purge.md/favourite/").status_code == 405


def test_strangers_star_nothing(client, db):
    assert star(client, "web/purge.md").url.startswith("/login/")
    assert starred() == []


def test_the_database_knows_one_star_of_each(db):
    Favourite.objects.create(actor="alice", runbook="web/purge.md")
    with pytest.raises(IntegrityError):
        Favourite.objects.create(actor="alice", runbook="web/purge.md")
