"""Accounts: sign-in by password, what may change while one is signed in, and guesses at passwords."""

from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from axes.models import AccessAttempt
from django.contrib.auth.models import Group, User
from django.test import Client

from runbooks.access.accounts import guesser
from runbooks.access.actor import Actor
from runbooks.access.identify import actor_of_session
from tests.test_access_table import streamed

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"
WRONG = "Please enter a correct username and password"


@pytest.fixture
def carol() -> User:
    account = User.objects.create_user("carol", password=PASSWORD)
    account.groups.add(Group.objects.create(name="sre"), Group.objects.create(name="dba"))
    return account


def sign_in(client: Client, *, page: str = "/login/", password: str = PASSWORD, name: str = "carol", **extra: str):
    fields = {"username": name, "password": password, "next": extra.pop("next", "")}
    return client.post(page, fields, **extra)


def guess(client: Client, times: int, **options: str) -> list[int]:
    return [sign_in(client, password=f"wrong {number}", **options).status_code for number in range(times)]


def actor_of(client: Client) -> Actor | None:
    return actor_of_session(client.session)


def test_groups_are_roles(client, carol):
    assert sign_in(client, next="/runs/").url == "/runs/"
    assert actor_of(client) == Actor("carol", {"roles": ("dba", "sre")})
    assert client.get("/runs/").status_code == 200


def test_a_superuser_has_the_role_admin(client):
    User.objects.create_superuser("root", password=PASSWORD)
    sign_in(client, name="root")
    assert actor_of(client) == Actor("root", {"roles": ("admin",)})


def test_the_form_is_offered_when_somebody_can_use_it(client):
    assert "Password" not in client.get("/login/").content.decode()
    User.objects.create_user("locked", password=None)
    assert "Password" not in client.get("/login/").content.decode()
    User.objects.create_user("carol", password=PASSWORD)
    assert "Password" in client.get("/login/").content.decode()


def test_the_development_sign_in_is_offered_beside_it_where_it_is_on(client, settings, carol):
    assert "Subject" in client.get("/login/").content.decode()
    settings.ENABLE_LOGIN = False
    assert "Subject" not in client.get("/login/").content.decode()


@pytest.mark.parametrize("fields", [{"password": "wrong"}, {"name": "nobody"}, {"name": "Carol"}])
def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(client, carol, fields):
    answer = sign_in(client, **fields)
    assert answer.status_code == 422
    assert WRONG in answer.content.decode()
    assert actor_of(client) is None


@pytest.mark.parametrize(("name", "password"), [("", ""), ("a\0b", "x"), ("carol", "")])
def test_fields_that_cannot_be_used_are_named(client, carol, name, password):
    answer = sign_in(client, name=name, password=password)
    assert answer.status_code == 422
    assert "field__error" in answer.content.decode()


def test_the_page_does_not_show_the_password_again(client, carol):
    assert "hunter2hunter2" not in sign_in(client, password="hunter2hunter2").content.decode()


def test_the_session_gets_another_key_and_keeps_nothing(client, carol):
    client.post("/login/", {"subject": "mallory", "roles": "admin"})
    known = client.session.session_key
    sign_in(client)
    assert client.session.session_key != known
    assert not client.session.exists(known)
    assert "mallory" not in str(dict(client.session.items()))


def test_the_form_token_is_another_after_the_sign_in(client, carol):
    before = client.get("/login/").cookies["runbookweb_csrf"].value
    assert sign_in(client).cookies["runbookweb_csrf"].value != before


def test_the_sign_out_is_one_from_the_admin_site_too(admin_client):
    assert admin_client.get("/runs/").status_code == 200
    admin_client.post("/logout/")
    assert admin_client.get("/admin/").status_code == 302
    assert actor_of(admin_client) is None


def test_the_admin_site_signs_in_to_the_pages(client):
    User.objects.create_superuser("root", password=PASSWORD)
    client.post("/login/", {"subject": "bob", "roles": "sre"})
    assert sign_in(client, page="/admin/login/", name="root", next="/admin/").url == "/admin/"
    assert client.get("/admin/").status_code == 200
    assert actor_of(client) == Actor("root", {"roles": ("admin",)})


def test_the_development_sign_in_takes_the_place_of_an_account(admin_client):
    admin_client.post("/login/", {"subject": "bob", "roles": ""})
    assert actor_of(admin_client).id == "bob"
    assert admin_client.get("/admin/").status_code == 302


def test_a_group_that_is_taken_away_is_gone_at_once(client, library, a_runbook, carol):
    library.add("restart.md", a_runbook(claims={"roles": ["dba"]}))
    sign_in(client)
    carol.groups.remove(Group.objects.get(name="dba"))
    assert actor_of(client) == Actor("carol", {"roles": ("sre",)})
    assert client.post("/runbooks/restart.md/runs/").status_code == 403


def make_inactive(account: User) -> None:
    User.objects.filter(pk=account.pk).update(is_active=False)


def change_password(account: User) -> None:
    account.set_password(PASSWORD[::-1])
    account.save()


def delete(account: User) -> None:
    account.delete()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", [make_inactive, change_password, delete])
def test_the_access_of_an_account_ends_at_once(client, carol, change):
    sign_in(client)
    assert async_to_sync(streamed)("/runs/1/events/", client) == 404
    change(carol)
    assert client.get("/runs/").status_code == 302
    assert async_to_sync(streamed)("/runs/1/events/", client) == 401


def test_whoever_signed_in_before_an_account_does_not_come_back(client, carol):
    session = client.session
    session["actor"] = {"id": "mallory", "claims": {}}
    session.save()
    client.force_login(carol)
    make_inactive(carol)
    assert actor_of(client) is None


def test_the_fifth_wrong_guess_is_followed_by_a_pause(client, carol):
    assert guess(client, 5) == [422, 422, 422, 422, 429]
    answer = sign_in(client)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "900")
    assert "Wait 15 minutes, then try again." in answer.content.decode()
    assert actor_of(client) is None


def test_the_pause_ends(client, carol):
    guess(client, 5)
    attempt = AccessAttempt.objects.get()
    AccessAttempt.objects.update(attempt_time=attempt.attempt_time - timedelta(minutes=16))
    assert sign_in(client).status_code == 302


def test_guesses_during_the_pause_do_not_lengthen_it(client, carol):
    guess(client, 5)
    began = AccessAttempt.objects.get().attempt_time
    assert guess(client, 2) == [429, 429]
    assert AccessAttempt.objects.get().attempt_time == began


def test_a_sign_in_forgives_the_guesses_before_it(client, carol):
    guess(client, 4)
    assert sign_in(client).status_code == 302
    assert guess(client, 4) == [422] * 4


@pytest.mark.parametrize("elsewhere", [{"REMOTE_ADDR": "192.0.2.7"}, {"name": "dave"}])
def test_others_are_not_locked_out(client, carol, elsewhere):
    User.objects.create_user("dave", password=PASSWORD)
    guess(client, 5)
    assert sign_in(client, **elsewhere).status_code == 302


def test_another_address_cannot_be_made_up(client, carol):
    assert guess(client, 4) == [422] * 4
    for header in ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP"):
        assert sign_in(client, password="wrong", **{header: "for=192.0.2.7"}).status_code == 429


def test_the_admin_site_counts_with_us(client, carol):
    assert guess(client, 4, page="/admin/login/") == [200] * 4
    assert guess(client, 1) == [429]
    answer = sign_in(client, page="/admin/login/")
    assert answer.status_code == 429
    assert "Too many wrong passwords" in answer.content.decode()


def test_a_long_name_is_counted_by_its_beginning(client, carol):
    assert guess(client, 5, name="c" * 3000)[-1] == 429
    assert AccessAttempt.objects.get().username == "c" * 150


def test_the_log_says_who_signed_in_and_no_password(client, carol, caplog):
    caplog.set_level("INFO")
    guess(client, 1)
    sign_in(client)
    assert [record.actor for record in caplog.records if record.message == "Signed in: carol"] == ["carol"]
    assert PASSWORD not in caplog.text
    assert "wrong 0" not in caplog.text


def test_no_password_is_kept_with_the_guesses(client, carol):
    guess(client, 2)
    assert "wrong 1" not in str(list(AccessAttempt.objects.values()))


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::"),
        ("2001:db8::ffff:1", "2001:db8::"),
        ("2001:db8:0:1::1", "2001:db8:0:1::"),
        ("", None),
    ],
)
def test_guesses_are_counted_for_an_address_or_a_network(rf, address, counted):
    assert guesser(rf.get("/", REMOTE_ADDR=address)) == counted
