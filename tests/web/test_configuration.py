"""The page of the configuration: each setting once and no secret, and what is known of one's own session."""

import re
import time

import pytest
from django.contrib.auth.models import User
from django.test import Client

from runbooks.access.identify import KEY
from runbookweb import configured
from runbookweb.env import VARIABLES, Configuration


def text_of(answer) -> str:
    return answer.content.decode()


def pairs(client: Client) -> dict[str, str]:
    """What the page says of who asks, and of the versions."""
    found = re.findall(r"<dt>([^<]*)</dt><dd>(.*?)</dd>", text_of(client.get("/configuration/")))
    return {term: re.sub("<[^>]*>", "", words) for term, words in found}


def test_each_variable_is_in_one_group(settings):
    groups = configured.grouped(settings.CONFIGURATION)
    names = [item.variable.name for items in groups.values() for item in items]
    assert sorted(names) == sorted(variable.name for variable in VARIABLES)
    assert all(groups.values()), "a group has nothing in it"
    assert [item.variable.name for item in groups["Scripts"]][:1] == ["SCRIPT_TIMEOUT_SECONDS"]
    assert "EXECUTION_DIR" in [item.variable.name for item in groups["Folders"]]


def test_what_the_environment_sets_is_told_apart(alice_client, settings, tmp_path):
    settings.CONFIGURATION = Configuration({"DATA_DIR": str(tmp_path / "var"), "UI_HEADER": "Night <shift>"})
    page = text_of(alice_client.get("/configuration/"))
    assert "2 of them are set on this server" in page
    assert page.count("setting--set") == 2
    assert "Night &lt;shift&gt;" in page


def test_no_secret_is_shown_wherever_it_comes_from(alice_client, settings, tmp_path):
    secrets = {name: f"the-{name}-that-nobody-may-know-0123456789" for name in ("SECRET_KEY", "JWT_SECRET")}
    oidc = {
        "OIDC_ISSUER": "https://login.example",
        "OIDC_CLIENT_ID": "runbooks",
        "OIDC_CLIENT_SECRET": "nobody-may-know",
    }
    settings.CONFIGURATION = Configuration({"DATA_DIR": str(tmp_path / "var"), **secrets, **oidc})
    page = text_of(alice_client.get("/configuration/"))
    assert "nobody-may-know" not in page
    assert page.count("<code>***</code>") == 3


def test_a_session_of_the_development_sign_in_says_so(alice_client):
    said = pairs(alice_client)
    assert (said["Id"], said["Roles"]) == ("alice", "sre")
    assert said["Signed in by"] == "the development sign-in"
    assert said["From"] == "127.0.0.1"
    assert "Until" in said


def test_a_session_of_single_sign_on_ends_when_it_says(alice_client):
    session = alice_client.session
    session[KEY] = {"id": "alice", "claims": {}, "until": time.time() + 3600}
    session.save()
    said = pairs(alice_client)
    assert said["Signed in by"] == "single sign-on"
    assert said["Until"].startswith(time.strftime("%Y-%m-%d %H", time.gmtime(time.time() + 3600)))


@pytest.mark.parametrize("is_staff", [False, True])
def test_an_account_is_shown_the_way_to_the_review_if_it_may_go_there(db, is_staff):
    client = Client()
    client.force_login(User.objects.create_user("ann", is_staff=is_staff))
    assert pairs(client)["Signed in by"] == "an account and its password"
    assert ('href="/admin/"' in text_of(client.get("/configuration/"))) == is_staff


def test_it_leads_to_the_doctor_and_the_api(alice_client):
    page = text_of(alice_client.get("/configuration/"))
    for address in ("/doctor/", "/docs/explorer.html", "/docs/openapi.yaml"):
        assert f'href="{address}"' in page


def test_the_versions_and_the_build_are_named(alice_client, settings, monkeypatch):
    monkeypatch.setattr(settings.CONFIGURATION, "BUILT_AT", "2026-11-22T16:23:59Z")
    said = pairs(alice_client)
    assert said["Built at"] == "2026-11-22T16:23:59Z"
    assert {"Python", "Django", "Channels", "Daphne"} <= set(said)
