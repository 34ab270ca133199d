"""Pinning a run on its page: with JavaScript, without it, and only of what one may see."""

import pytest

from runbooks.models import Run


@pytest.fixture(autouse=True)
def _a_runbook_for_sre(library, a_runbook):
    library.add("restart.md", a_runbook(claims={"roles": ["sre"]}))


def test_a_run_is_pinned_and_let_go_on_its_page(alice_client, a_run):
    run = a_run()
    for asked in (True, True, False):
        assert alice_client.post(f"/runs/{run.pk}/pin/", {"pinned": str(asked).lower()}).url == f"/runs/{run.pk}/"
        assert Run.objects.get().is_pinned == asked


def test_the_page_and_the_list_say_what_is_pinned(alice_client, a_run):
    run = a_run(is_pinned=True)
    page = alice_client.get(f"/runs/{run.pk}/").content.decode()
    assert f'action="/runs/{run.pk}/pin/"' in page
    assert 'name="pinned" value="false"' in page
    assert ">Pinned</button>" in page
    assert ">pinned</span>" in alice_client.get("/runs/").content.decode()


def test_what_is_not_pinned_can_be(alice_client, a_run):
    run = a_run()
    page = alice_client.get(f"/runs/{run.pk}/").content.decode()
    assert 'name="pinned" value="true"' in page
    assert ">Pin</button>" in page
    assert ">pinned<" not in alice_client.get("/runs/").content.decode()


def test_htmx_gets_the_button_alone(alice_client, a_run):
    run = a_run()
    answer = alice_client.post(f"/runs/{run.pk}/pin/", {"pinned": "true"}, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    assert answer.content.decode().startswith('<form id="pin"')
    assert ">Pinned</button>" in answer.content.decode()


@pytest.mark.parametrize("pk", ["404", "9" * 30])
def test_a_run_that_is_not_there_cannot_be_pinned(alice_client, pk):
    assert alice_client.post(f"/runs/{pk}/pin/").status_code == 404


def test_one_cannot_pin_what_one_may_not_see(bob_client, a_run):
    run = a_run()
    assert bob_client.post(f"/runs/{run.pk}/pin/", {"pinned": "true"}).status_code == 404
    assert not Run.objects.get().is_pinned


def test_pinning_is_no_reading(alice_client, a_run):
    run = a_run()
    assert alice_client.get(f"/runs/{run.pk}/pin/").status_code == 405


@pytest.mark.parametrize(("wanted", "found"), [("1", "pinned.md"), ("0", "other.md")])
def test_staff_see_the_pinned_ones_alone_if_they_like(admin_client, a_run, wanted, found):
    a_run("pinned.md", is_pinned=True)
    a_run("other.md")
    page = admin_client.get(f"/admin/runbooks/run/?is_pinned__exact={wanted}").content.decode()
    assert [path for path in ("pinned.md", "other.md") if f">{path}<" in page] == [found]
