"""Bearer tokens by published keys: what is accepted, keys that change, and a provider that is down or slow."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from runbooks.access.actor import Actor
from runbooks.access.tokens import KEYS_PAUSE, BadToken, NoKeys, issue, read
from runbookweb.env import Configuration

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE = ec.generate_private_key(ec.SECP256R1())


class Provider(ThreadingHTTPServer):
    """An identity provider that publishes its keys; it may be down, slow, or out of its mind."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.body = b""
        self.status = 200
        self.asked = 0
        self.may_answer = threading.Event()
        self.may_answer.set()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/keys"

    def publish(self, **keys: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> None:
        self.body = json.dumps(
            {"keys": [{**public(key), "kid": kid, "use": "sig"} for kid, key in keys.items()]}
        ).encode()


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked += 1
        self.server.may_answer.wait(30)
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output free of requests."""


def public(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> dict[str, str]:
    algorithm = (
        jwt.algorithms.ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else jwt.algorithms.RSAAlgorithm
    )
    return algorithm.to_jwk(key.public_key(), as_dict=True)


def signed(key: object = RSA, *, kid: str | None = "one", algorithm: str = "RS256", **changes: object) -> str:
    payload = {"iss": "runbookweb", "aud": "runbookweb", "sub": "alice", "exp": 4_000_000_000, **changes}
    return jwt.encode(payload, key, algorithm=algorithm, headers={"kid": kid} if kid else None)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        provider.publish(one=RSA)
        thread = threading.Thread(target=provider.serve_forever, args=(0.01,))
        thread.start()
        yield provider
        provider.may_answer.set()
        provider.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def configure(settings, tmp_path: Path, provider: Provider) -> Callable[..., None]:
    def use(**environ: str) -> None:
        environ = {"DATA_DIR": str(tmp_path / "var"), "JWT_JWKS_URL": provider.address, **environ}
        settings.CONFIGURATION = Configuration(environ)

    use()
    return use


@pytest.fixture
def later(monkeypatch) -> Callable[[float], None]:
    """Let this many seconds pass for the keys that are kept."""
    passed = 0.0

    def let_pass(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + passed)
    for module in ("jwt.jwks_client", "jwt.jwk_set_cache", "jwt.api_jwk", "runbooks.access.tokens"):
        monkeypatch.setattr(f"{module}.time", clock)
    return let_pass


def test_a_published_key_signs(provider):
    assert read(signed(roles=["sre"])).actor == Actor("alice", {"roles": ("sre",)})


def test_a_claim_run_of_the_provider_makes_no_script_of_a_person(provider):
    assert read(signed(run=7)).run is None


def test_keys_are_fetched_once(provider):
    for _ in range(3):
        read(signed())
    assert provider.asked == 1


def test_curves_sign_too(provider, configure):
    configure(JWT_ALGORITHM="ES256")
    provider.publish(one=CURVE)
    assert read(signed(CURVE, algorithm="ES256")).actor.id == "alice"
    with pytest.raises(BadToken, match="algorithm"):
        read(signed())


def test_our_own_tokens_are_accepted_and_need_no_keys(provider):
    assert read(issue(Actor("alice"))[0]).actor == Actor("alice")
    assert provider.asked == 0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"key": OTHER_RSA}, "signature is wrong"),
        ({"kid": "two"}, "signature is wrong"),
        ({"kid": None}, "signature is wrong"),
        ({"algorithm": "RS512"}, "algorithm"),
        ({"algorithm": "PS256"}, "algorithm"),
        ({"key": CURVE, "algorithm": "ES256"}, "algorithm"),
        ({"key": None, "algorithm": "none"}, "algorithm"),
        ({"key": "s" * 64, "algorithm": "HS256"}, "algorithm"),
        ({"exp": 1}, "expired"),
        ({"aud": "another"}, "another audience"),
        ({"iss": "another"}, "another issuer"),
        ({"sub": ""}, "subject"),
    ],
)
def test_another_token_is_refused_in_words(provider, changes, says):
    token = signed(**changes)
    with pytest.raises(BadToken, match=says):
        read(token)


@pytest.mark.parametrize("shape", ["PEM", "DER", "JWK"])
def test_the_public_key_is_no_secret(provider, shape):
    """The classic: take the key that everybody may read for the secret of HS256."""
    key = RSA.public_key()
    forms = {
        "PEM": key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "DER": key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "JWK": json.dumps(public(RSA)).encode(),
    }
    head, body, _ = signed(roles=["admin"]).split(".")
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"one"}').rstrip(b"=").decode()
    signature = hmac.digest(forms[shape], f"{head}.{body}".encode(), hashlib.sha256)
    with pytest.raises(BadToken, match="algorithm"):
        read(f"{head}.{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}")


def test_a_published_secret_signs_nothing(provider):
    secret = base64.urlsafe_b64encode(b"s" * 64).rstrip(b"=").decode()
    provider.body = json.dumps({"keys": [{"kty": "oct", "k": secret, "kid": "one", "alg": "HS256"}]}).encode()
    with pytest.raises(BadToken):
        read(signed("s" * 64, algorithm="HS256"))


def test_a_key_that_is_too_short_signs_nothing(provider):
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505
    provider.publish(one=short)
    head, body, _ = signed().split(".")
    signature = short.sign(f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256())
    with pytest.raises(BadToken, match="signature is wrong"):
        read(f"{head}.{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}")


def test_a_token_cannot_say_where_its_key_is(provider):
    mallory = {"kid": "two", "jku": provider.address, "jwk": public(OTHER_RSA), "x5u": provider.address}
    payload = {"iss": "runbookweb", "aud": "runbookweb", "sub": "mallory", "exp": 4_000_000_000}
    with pytest.raises(BadToken):
        read(jwt.encode(payload, OTHER_RSA, algorithm="RS256", headers=mallory))


def test_a_new_key_is_picked_up_and_an_old_one_forgotten(provider, later):
    read(signed())
    provider.publish(two=OTHER_RSA)
    later(KEYS_PAUSE + 1)
    assert read(signed(OTHER_RSA, kid="two")).actor.id == "alice"
    with pytest.raises(BadToken, match="signature is wrong"):
        read(signed())


def test_a_withdrawn_key_is_accepted_for_minutes_only(provider, later):
    read(signed())
    provider.publish(two=OTHER_RSA)
    later(301)
    with pytest.raises(BadToken, match="signature is wrong"):
        read(signed())


def test_unknown_keys_do_not_make_us_ask_each_time(provider):
    read(signed())
    for number in range(20):
        with pytest.raises(BadToken):
            read(signed(kid=f"made up {number}"))
    assert provider.asked == 1


def test_a_token_with_another_algorithm_does_not_make_us_ask(provider):
    with pytest.raises(BadToken, match="algorithm"):
        read(signed("s" * 64, algorithm="HS256"))
    assert provider.asked == 0


@pytest.mark.alone
def test_a_provider_that_is_slow_holds_nobody_for_long(provider):
    provider.may_answer.clear()
    began = time.monotonic()
    with ThreadPoolExecutor(5) as threads:
        refusals = [threads.submit(read, signed()).exception for _ in range(5)]
    assert [type(refusal()) for refusal in refusals] == [NoKeys] * 5
    assert 2.9 < time.monotonic() - began < 5
    assert provider.asked == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, b"down"),
        (302, b""),
        (200, b"<html>"),
        (200, b"\xff"),
        (200, b"[]"),
        (200, b"[" * 100_000),
        (200, b'{"keys": []}'),
        (200, b'{"keys": 7}'),
        (200, b'{"keys": [7]}'),
        (200, b'{"keys": [{"kty": 7}]}'),
        (200, b'{"keys": [{"kty": "RSA", "n": 7, "e": []}]}'),
        (200, b'{"keys": [{"kty": "RSA", "n": "", "e": ""}]}'),
        (200, b'{"keys": [{"kty": ["RSA"]}]}'),
        (200, b'{"keys": [{"kty": "EC", "crv": {}, "x": "", "y": ""}]}'),
    ],
)
def test_without_keys_a_token_may_be_right_but_is_not_accepted(provider, later, status, body):
    provider.status, provider.body = status, body
    with pytest.raises(NoKeys, match="cannot be fetched at present"):
        read(signed())
    provider.status = 200
    provider.publish(one=RSA)
    later(KEYS_PAUSE + 1)
    assert read(signed()).actor.id == "alice"


def test_a_provider_that_is_down_does_not_end_the_keys_that_are_kept(provider, later):
    read(signed())
    provider.status = 503
    later(KEYS_PAUSE + 1)
    with pytest.raises(NoKeys):
        read(signed(kid="two"))
    assert read(signed()).actor.id == "alice"


def test_nobody_listens_there(configure):
    configure(JWT_JWKS_URL="http://127.0.0.1:1/keys")
    with pytest.raises(NoKeys):
        read(signed())
