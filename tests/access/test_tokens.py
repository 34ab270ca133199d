"""Bearer tokens by our secret: what is accepted, what of it becomes the actor, and the classic attacks."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest

from runbooks.access.actor import Actor
from runbooks.access.tokens import BadToken, issue, read, token_of_header
from runbooks.models import Run, State
from runbookweb.env import Configuration

SECRET = "s" * 64
ALICE = Actor("alice", {"roles": ("sre", "admin"), "team": ("db",)})
UNREADABLE = "This is no token that can be read, or its signature is wrong."


@pytest.fixture(autouse=True)
def configure(settings, tmp_path: Path) -> Callable[..., None]:
    def use(**environ: str) -> None:
        settings.CONFIGURATION = Configuration({"DATA_DIR": str(tmp_path / "var"), **environ})

    use(JWT_SECRET=SECRET)
    return use


def payload(**changes: object) -> dict[str, object]:
    """What a sound token says, but for these claims: None leaves one out, a duration counts from now."""
    now = datetime.now(UTC)
    claims = {"iss": "runbookweb", "aud": "runbookweb", "sub": "alice", "exp": timedelta(minutes=5), **changes}
    return {
        claim: now + value if isinstance(value, timedelta) else value
        for claim, value in claims.items()
        if value is not None
    }


def signed(*, secret: str = SECRET, algorithm: str = "HS256", **changes: object) -> str:
    return jwt.encode(payload(**changes), secret, algorithm=algorithm)


def by_hand(head: bytes, body: bytes, *, secret: bytes = SECRET.encode()) -> str:
    """A token that no library would make, with a right HS256 signature."""
    parts = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (head, body))
    signature = hmac.digest(secret, parts, hashlib.sha256)
    return (parts + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def test_what_we_issue_names_the_actor():
    token, _ = issue(ALICE)
    assert read(token).actor == ALICE


@pytest.mark.parametrize("lifetime", [None, timedelta(hours=2)])
def test_a_token_ends_when_it_says(configure, lifetime):
    configure(JWT_SECRET=SECRET, JWT_TTL_MINUTES="3")
    token, ends = issue(ALICE, lifetime=lifetime)
    assert jwt.decode(token, options={"verify_signature": False})["exp"] == ends.timestamp()
    assert abs(ends - datetime.now(UTC) - (lifetime or timedelta(minutes=3))) < timedelta(seconds=10)


def test_a_token_of_another_program_is_accepted():
    assert read(signed(roles=["sre"])).actor == Actor("alice", {"roles": ("sre",)})


def test_claims_are_strings_and_lists_of_strings():
    token = signed(
        team="db",
        roles=["a", "b"],
        none=[],
        age=7,
        admin=True,
        deep={"roles": ["x"]},
        mixed=["a", 1],
        bad="\0",
        jti="7",
    )
    assert read(token).actor.claims == {"team": ("db",), "roles": ("a", "b"), "none": ()}


def test_half_a_character_is_no_claim():
    body = json.dumps({**payload(exp=4_000_000_000), "roles": ["\ud800"], "\ud800": "x", "team": "db"})
    assert read(by_hand(b'{"alg":"HS256"}', body.encode())).actor.claims == {"team": ("db",)}


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  "])
def test_a_header_carries_the_token(scheme):
    assert token_of_header(scheme + signed()).actor == Actor("alice")


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("", "Send a token"),
        ("Basic YTpi", "another scheme"),
        (signed(), "another scheme"),
        ("Bearer", UNREADABLE),
        ("Bearer " + "a" * 8193, "longer than 8192 bytes"),
        (f"Bearer {signed()} {signed()}", UNREADABLE),
    ],
)
def test_another_header_is_refused_in_words(header, says):
    with pytest.raises(BadToken, match=says):
        token_of_header(header)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"exp": timedelta(seconds=-60)}, "has expired"),
        ({"nbf": timedelta(seconds=60)}, "not valid yet"),
        ({"iat": timedelta(seconds=60)}, "not valid yet"),
        ({"aud": "another"}, "another audience"),
        ({"aud": ["another", "third"]}, "another audience"),
        ({"iss": "another"}, "another issuer"),
        ({"exp": None}, "no claim exp"),
        ({"iss": None}, "no claim iss"),
        ({"aud": None}, "no claim aud"),
        ({"sub": None}, "no claim sub"),
        ({"sub": ""}, "subject must be"),
        ({"sub": "a\nb"}, "subject must be"),
        ({"sub": "a" * 256}, "subject must be"),
        ({"secret": "w" * 64}, UNREADABLE),
        ({"algorithm": "HS384"}, "algorithm that is accepted"),
        ({"secret": None, "algorithm": "none"}, "algorithm that is accepted"),
    ],
)
def test_a_token_that_is_not_sound_is_refused_in_words(changes, says):
    token = signed(**changes)
    with pytest.raises(BadToken, match=says):
        read(token)


@pytest.mark.parametrize(
    "changes", [{"exp": timedelta(seconds=-20)}, {"nbf": timedelta(seconds=20)}, {"iat": timedelta(seconds=20)}]
)
def test_clocks_may_differ_a_little(changes):
    assert read(signed(**changes)).actor.id == "alice"


@pytest.mark.parametrize("head", [b'{"alg":"none"}', b'{"alg":"None"}', b'{"alg":""}', b'{"alg":null}', b"{}"])
def test_a_token_cannot_choose_to_be_unsigned(head):
    body = json.dumps(payload(exp=4_000_000_000)).encode()
    for token in (by_hand(head, body), by_hand(head, body).rpartition(".")[0] + "."):
        with pytest.raises(BadToken):
            read(token)


def test_what_was_signed_cannot_be_changed():
    head, body, signature = signed(roles=["api"]).split(".")
    forged = by_hand(b"{}", json.dumps({**payload(exp=4_000_000_000), "roles": ["admin"]}).encode()).split(".")[1]
    assert read(f"{head}.{body}.{signature}").actor.claims == {"roles": ("api",)}
    with pytest.raises(BadToken, match=UNREADABLE):
        read(f"{head}.{forged}.{signature}")


@pytest.mark.parametrize(
    "garbage",
    ["", ".", "..", "...", "a.b.c", "é.é.é", "\ud800", "\0", None, 7, b"a.b.c", signed().encode(), [signed()], {}],
)
def test_what_is_no_token_is_refused(garbage):
    with pytest.raises(BadToken, match=UNREADABLE):
        read(garbage)


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"[]", b"{}"),
        (b"[" * 3000, b"{}"),
        (b'{"alg":["HS256"]}', b"{}"),
        (b'{"alg":"HS256","crit":["x"]}', b"{}"),
        (b'{"alg":"HS256","kid":{}}', b"{}"),
        (b'{"alg":"HS256"}', b"[" * 3000),
        (b'{"alg":"HS256"}', b"7"),
        (b'{"alg":"HS256"}', b"\xff"),
        (b'{"alg":"HS256"}', b'{"iss":"runbookweb","aud":"runbookweb","sub":"a","exp":1e999}'),
        (b'{"alg":"HS256"}', b'{"iss":"runbookweb","aud":"runbookweb","sub":"a","exp":NaN}'),
        (b'{"alg":"HS256"}', b'{"iss":"runbookweb","aud":"runbookweb","sub":"a","exp":4000000000,"nbf":1e999}'),
        (b'{"alg":"HS256"}', b'{"iss":"runbookweb","aud":"runbookweb","sub":"a","exp":4000000000,"iat":1e999}'),
        (b'{"alg":"HS256"}', b'{"iss":"runbookweb","aud":"runbookweb","sub":"a","exp":4000000000,"iat":[]}'),
        (b'{"alg":"HS256"}', b'{"iss":"runbookweb","aud":"runbookweb","sub":"a","exp":[]}'),
        (b'{"alg":"HS256"}', b'{"iss":"runbookweb","aud":"runbookweb","sub":7,"exp":4000000000}'),
        (b'{"alg":"HS256"}', b'{"iss":[],"aud":"runbookweb","sub":"a","exp":4000000000}'),
        (b'{"alg":"HS256"}', b'{"iss":"runbookweb","aud":{},"sub":"a","exp":4000000000}'),
    ],
)
def test_what_is_signed_but_hostile_is_refused(head, body):
    with pytest.raises(BadToken):
        read(by_hand(head, body))


def test_a_refusal_tells_no_secret():
    for token in (signed(secret="w" * 64), signed(iss="x"), signed(aud="x"), signed(algorithm="HS512"), "a.b.c"):
        with pytest.raises(BadToken) as refused:
            read(token)
        assert SECRET not in str(refused.value)


def test_issuer_and_audience_are_configured(configure):
    configure(JWT_SECRET=SECRET, JWT_ISSUER="idp", JWT_AUDIENCE="ops")
    assert read(issue(ALICE)[0]).actor == ALICE
    assert read(signed(iss="idp", aud=["ops", "mail"])).actor.id == "alice"
    with pytest.raises(BadToken):
        read(signed())


def test_without_a_secret_only_our_own_tokens_are_accepted(configure):
    others = {"BIND_ADDRESS": "192.0.2.1", "SECRET_KEY": "x" * 40, "ALLOWED_HOSTS": "ops.example"}
    configure(**others)
    assert read(issue(ALICE)[0]).actor == ALICE
    for secret in ("x" * 40, SECRET, "", "None"):
        with pytest.raises(BadToken, match=UNREADABLE):
            read(by_hand(b'{"alg":"HS256"}', json.dumps(payload(exp=4e9)).encode(), secret=secret.encode()))


@pytest.mark.django_db
def test_a_runs_token_dies_with_its_run():
    claims = {claim: list(values) for claim, values in ALICE.claims.items()}
    run = Run.objects.create(runbook="a.md", actor="alice", claims=claims, timeout=600, source="")
    token, _ = issue(ALICE, run=run.pk, lifetime=timedelta(days=30))
    assert (read(token).actor, read(token).run) == (ALICE, run.pk)
    assert run.take()
    assert read(token).actor == ALICE
    run.move(State.RUNNING, state=State.SUCCEEDED)
    with pytest.raises(BadToken, match="run that has ended"):
        read(token)


@pytest.mark.django_db
def test_a_runs_token_is_short_however_many_claims_the_actor_has():
    many = {"roles": tuple(f"group-{number:032}" for number in range(1000))}
    run = Run.objects.create(
        runbook="a.md", actor="alice", claims={"roles": list(many["roles"])}, timeout=600, source=""
    )
    token, _ = issue(Actor("alice", many), run=run.pk)
    assert len(token) < 400
    assert read(token).actor == Actor("alice", many)


@pytest.mark.django_db
def test_a_runs_token_is_for_who_asked_for_the_run():
    run = Run.objects.create(runbook="a.md", actor="bob", claims={"roles": ["dba"]}, timeout=600, source="")
    token, _ = issue(ALICE, run=run.pk)
    with pytest.raises(BadToken, match="run that has ended"):
        read(token)


@pytest.mark.django_db
@pytest.mark.parametrize("run", [0, -1, 999, 2**63, 10**100, "1", True, 1.0, [1], {}])
def test_a_token_of_no_run_is_refused(run):
    Run.objects.create(pk=1, runbook="a.md", actor="alice", timeout=600, source="")
    with pytest.raises(BadToken, match="run that has ended"):
        read(signed(run=run))


def test_a_claim_of_the_actor_cannot_change_what_we_sign():
    mallory = Actor("mallory", {"sub": ("alice",), "exp": ("x",), "aud": ("x",), "run": ("7",), "roles": ("api",)})
    assert read(issue(mallory)[0]).actor == Actor("mallory", {"roles": ("api",)})
