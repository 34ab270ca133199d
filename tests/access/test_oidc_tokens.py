"""ID tokens: what is accepted of a provider, and a provider that lies, or talks nonsense."""

import base64
import hashlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.test import Client

from runbooks.access import oidc_provider
from runbooks.access.actor import Actor
from runbooks.access.identify import actor_of_session
from runbookweb.env import Configuration

pytestmark = pytest.mark.django_db
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ANOTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE = ec.generate_private_key(ec.SECP256R1())
RSA_JWK = jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
CURVE_JWK = jwt.algorithms.ECAlgorithm.to_jwk(CURVE.public_key(), as_dict=True)


class Provider(ThreadingHTTPServer):
    """A provider that says whatever the test wants."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.address = f"http://127.0.0.1:{self.server_port}"
        endpoints = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/keys"}
        self.description: object = {"issuer": self.address} | {
            name: self.address + path for name, path in endpoints.items()
        }
        self.keys: object = {"keys": [{**RSA_JWK, "kid": "one", "use": "sig"}]}
        self.tokens: object = {}
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.asked: list[tuple[str, str]] = []
        self.paths: list[str] = []
        # How it answers what it is asked for by path, if not as it should.
        self.ways: dict[str, Callable[[Answer, bytes], None]] = {}
        self.is_over = threading.Event()


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        said = self.server.keys if self.path == "/keys" else self.server.description
        self.server.paths.append(self.path)
        self.say(said)

    def do_POST(self) -> None:
        self.server.paths.append(self.path)
        form = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.asked.append((self.headers.get("Authorization", ""), form))
        self.say(self.server.tokens)

    def say(self, said: object) -> None:
        self.server.may_answer.wait(30)
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        with suppress(OSError):  # the client did not wait
            if way := self.server.ways.get(self.path):
                way(self, body)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output free of requests."""


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        thread = threading.Thread(target=provider.serve_forever, args=(0.01,))
        thread.start()
        yield provider
        provider.may_answer.set()
        provider.is_over.set()
        provider.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def configure(settings, tmp_path: Path, provider: Provider) -> Iterator[Callable[..., None]]:
    def configure(**variables: str) -> None:
        environ = {"OIDC_ISSUER": provider.address, "OIDC_CLIENT_ID": "ours", "DATA_DIR": str(tmp_path / "data")}
        settings.CONFIGURATION = Configuration({**environ, **variables})

    oidc_provider.read_description.cache_clear()
    configure()
    yield configure
    oidc_provider.read_description.cache_clear()


def sign_in(client: Client, provider: Provider, *, sign: Callable[[dict[str, object]], object], **changes: object):
    """The answer to a sign-in with an ID token that has these changes; a claim that is None is left out."""
    asked = dict(parse_qsl(urlsplit(client.get("/oidc/start/").url).query))
    payload = {"iss": provider.address, "aud": "ours", "sub": "alice", "iat": time.time(), "exp": time.time() + 60}
    payload = {**payload, "nonce": asked["nonce"], **changes}
    provider.tokens = {"id_token": sign({claim: value for claim, value in payload.items() if value is not None})}
    return client.get("/oidc/callback/", {"state": asked["state"], "code": "c0de"})


def signed(payload: dict[str, object]) -> str:
    return jwt.encode(payload, KEY, algorithm="RS256", headers={"kid": "one"})


def signed_by_another(payload: dict[str, object]) -> str:
    return jwt.encode(payload, ANOTHER, algorithm="RS256", headers={"kid": "one"})


def with_an_unknown_key(payload: dict[str, object]) -> str:
    return jwt.encode(payload, KEY, algorithm="RS256", headers={"kid": "two"})


def by_the_curve(payload: dict[str, object]) -> str:
    return jwt.encode(payload, CURVE, algorithm="ES256", headers={"kid": "one"})


def unsigned(payload: dict[str, object]) -> str:
    return jwt.encode(payload, None, algorithm="none", headers={"kid": "one"})


def by_the_public_key_as_a_secret(payload: dict[str, object]) -> str:
    public = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    # PyJWT would not sign with it, so the token is put together by its algorithm's own hand.
    parts = [{"alg": "HS256", "typ": "JWT", "kid": "one"}, payload]
    head = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(head, public)
    return (head + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def elsewhere(answer: Answer, body: bytes) -> None:
    """Say that what is asked for, and how, is to be had from somewhere that would give it."""
    place = f"{answer.server.address}/moved?" + urlencode({"body": body.decode()})
    answer.send_response(307)
    answer.send_header("Location", place)
    answer.send_header("Content-Length", "0")
    answer.end_headers()


def not_quite(answer: Answer, body: bytes) -> None:
    answer.send_response(203)
    answer.send_header("Content-Length", str(len(body)))
    answer.end_headers()
    answer.wfile.write(body)


def at_length(answer: Answer, body: bytes) -> None:
    """The right answer, after two megabytes of white space."""
    answer.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n" + b" " * 2 * 1024 * 1024 + body)


def cut(answer: Answer, body: bytes) -> None:
    answer.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: 999999\r\n\r\n" + body)


def in_drips(answer: Answer, body: bytes) -> None:
    """The right answer, after three seconds in which a byte comes ever so often."""
    answer.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
    drip(answer, b" ")
    answer.wfile.write(body)


def with_headers_in_drips(answer: Answer, body: bytes) -> None:
    answer.wfile.write(b"HTTP/1.0 200 OK\r\nX-Drips: ")
    drip(answer, b"x")
    answer.wfile.write(b"\r\n\r\n" + body)


def drip(answer: Answer, byte: bytes) -> None:
    for _ in range(60):
        answer.wfile.write(byte)
        if answer.server.is_over.wait(0.05):
            return


ENDPOINTS = ("/.well-known/openid-configuration", "/token", "/keys")


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("way", [elsewhere, not_quite, at_length, cut, in_drips, with_headers_in_drips])
def test_an_answer_that_is_not_whole_here_and_now_is_none(client, provider, monkeypatch, path, way):
    monkeypatch.setattr(oidc_provider, "WITHIN", 0.5)
    asked = {}
    if path != ENDPOINTS[0]:
        asked = dict(parse_qsl(urlsplit(client.get("/oidc/start/").url).query))
    provider.ways[path] = way
    payload = {"iss": provider.address, "aud": "ours", "sub": "alice", "iat": time.time(), "exp": time.time() + 60}
    provider.tokens = {"id_token": signed({**payload, "nonce": asked.get("nonce")})}
    page = "/oidc/callback/" if asked else "/oidc/start/"
    answer = client.get(page, {"state": asked.get("state"), "code": "c0de"} if asked else {})
    assert answer.status_code == 503
    assert "does not answer as it should" in answer.content.decode()
    assert not [path for path in provider.paths if path.startswith("/moved")]


def test_an_answer_without_end_is_not_read_to_the_end(client, provider):
    sent, is_over = [], threading.Event()

    def without_end(answer: Answer, body: bytes) -> None:
        answer.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
        try:
            for _ in range(64):
                answer.wfile.write(b" " * 1024 * 1024)
                sent.append(1)
        finally:
            is_over.set()

    provider.ways[ENDPOINTS[0]] = without_end
    assert client.get("/oidc/start/").status_code == 503
    assert is_over.wait(10)
    assert len(sent) < 32


def test_no_more_questions_wait_for_the_provider_than_there_are_places(client, provider, monkeypatch):
    monkeypatch.setattr(oidc_provider, "WITHIN", 0.2)
    monkeypatch.setattr(oidc_provider, "PLACES", threading.BoundedSemaphore(1))
    provider.ways[ENDPOINTS[0]] = with_headers_in_drips
    assert [client.get("/oidc/start/").status_code for _ in range(3)] == [503] * 3
    assert provider.paths == [ENDPOINTS[0]]
    provider.is_over.set()
    assert oidc_provider.PLACES.acquire(timeout=10)


@pytest.mark.parametrize("changes", [{"roles": [f"role-{number}" for number in range(20_000)]}, {"team": "x" * 20_000}])
def test_more_claims_than_are_kept_sign_nobody_in(client, provider, changes):
    answer = sign_in(client, provider, sign=signed, **changes)
    assert answer.status_code == 403
    assert "more of you than the 16384 bytes of claims" in answer.content.decode()
    assert actor_of_session(client.session) is None


def test_two_hundred_groups_are_kept(client, provider, configure):
    configure(OIDC_ROLES_CLAIM="groups")
    groups = [str(uuid.uuid4()) for _ in range(200)]
    assert sign_in(client, provider, sign=signed, groups=groups, email="alice@example.com").status_code == 302
    assert actor_of_session(client.session).claims["roles"] == tuple(groups)


def test_a_sound_token_is_accepted(client, provider):
    assert sign_in(client, provider, sign=signed).status_code == 302
    assert actor_of_session(client.session) == Actor("alice")


def test_another_algorithm_can_be_configured(client, provider, configure):
    configure(OIDC_SIGN_ALGORITHM="ES256")
    provider.keys = {"keys": [{**CURVE_JWK, "kid": "one"}]}
    assert sign_in(client, provider, sign=by_the_curve).status_code == 302


def test_a_new_key_works_at_once(client, provider):
    assert sign_in(client, provider, sign=with_an_unknown_key).status_code == 403
    provider.keys = {"keys": [*provider.keys["keys"], {**RSA_JWK, "kid": "two"}]}
    assert sign_in(client, provider, sign=with_an_unknown_key).status_code == 302


def test_the_code_is_bound_to_the_browser_that_asked_for_it(client, provider):
    challenge = dict(parse_qsl(urlsplit(client.get("/oidc/start/").url).query))["code_challenge"]
    (begun,) = client.session["oidc_states"].items()
    client.get("/oidc/callback/", {"state": begun[0], "code": "c0de"})
    verifier = dict(parse_qsl(provider.asked[0][1]))["code_verifier"]
    assert base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode() == challenge


@pytest.mark.parametrize("methods", [None, ["client_secret_basic"], ["client_secret_post"]])
def test_the_secret_is_sent_the_way_that_the_provider_knows(client, provider, configure, methods):
    configure(OIDC_CLIENT_SECRET="hush-hush")
    if methods:
        provider.description["token_endpoint_auth_methods_supported"] = methods
    sign_in(client, provider, sign=signed)
    authorization, form = provider.asked[0]
    assert ("client_secret=hush-hush" in form) == (methods == ["client_secret_post"])
    assert authorization.startswith("Basic ") == (methods != ["client_secret_post"])
    assert "code_verifier=" in form


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another"},
        {"aud": None},
        {"aud": ["ours", "another"], "azp": "another"},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"exp": 1_700_000_000},
        {"exp": None},
        {"iat": 4_000_000_000},
        {"nonce": "another"},
        {"nonce": None},
        {"sub": None},
        {"sub": 7},
    ],
)
def test_a_token_that_is_not_for_this_sign_in_is_refused(client, provider, changes):
    answer = sign_in(client, provider, sign=signed, **changes)
    assert answer.status_code == 403
    assert "not accepted here" in answer.content.decode()
    assert actor_of_session(client.session) is None


@pytest.mark.parametrize("sub", ["", " ", "a\u202e", "a" * 256])
def test_somebody_without_a_name_is_refused(client, provider, sub):
    assert sign_in(client, provider, sign=signed, sub=sub).status_code == 403
    assert actor_of_session(client.session) is None


@pytest.mark.parametrize(
    "sign",
    [signed_by_another, with_an_unknown_key, by_the_curve, unsigned, by_the_public_key_as_a_secret]
    + [lambda _, token=token: token for token in (None, 7, "", "a.b.c", "é", ["x"])],
)
def test_a_token_that_is_not_rightly_signed_is_refused(client, provider, sign):
    assert sign_in(client, provider, sign=sign).status_code == 403
    assert actor_of_session(client.session) is None


@pytest.mark.parametrize(
    "keys", [[], {}, {"keys": []}, {"keys": [{"kty": "RSA"}]}, {"keys": 7}, b"<html>", b"[" * 99999]
)
def test_keys_that_are_nonsense_are_an_answer_in_words(client, provider, keys):
    provider.keys = keys
    assert sign_in(client, provider, sign=signed).status_code in (403, 503)
    assert actor_of_session(client.session) is None


@pytest.mark.parametrize("tokens", [[], 7, None, {}, b"", b"<html>", b"[" * 99999])
def test_tokens_that_are_nonsense_are_an_answer_in_words(client, provider, tokens):
    asked = dict(parse_qsl(urlsplit(client.get("/oidc/start/").url).query))
    provider.tokens = tokens
    answer = client.get("/oidc/callback/", {"state": asked["state"], "code": "c0de"})
    assert answer.status_code in (403, 503)
    assert actor_of_session(client.session) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"token_endpoint": None},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "http://login.example.com/"},
        {"jwks_uri": "file:///etc/passwd"},
        {"token_endpoint_auth_methods_supported": 7},
    ],
)
def test_a_description_that_is_nonsense_is_an_answer_in_words(client, provider, changes):
    provider.description = {**provider.description, **changes}
    answer = client.get("/oidc/start/")
    assert answer.status_code == 503
    assert "does not answer as it should" in answer.content.decode()


def test_a_provider_that_is_silent_is_not_waited_for(client, provider, monkeypatch):
    monkeypatch.setattr(oidc_provider, "TIMEOUT", 0.2)
    provider.may_answer.clear()
    assert client.get("/oidc/start/").status_code == 503
