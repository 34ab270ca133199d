"""The OpenID Connect provider, and our side of asking it.

mozilla-django-oidc makes state, nonce and PKCE, fetches the ID token and verifies it. What it leaves out is here: what
the provider says of itself, the token's audience, issuer and required claims, and bounds to what a provider answers.
"""

import json
import logging
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache

import jwt
import requests
from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest
from django.urls import reverse
from mozilla_django_oidc.auth import OIDCAuthenticationBackend
from mozilla_django_oidc.utils import import_from_settings
from mozilla_django_oidc.views import OIDCAuthenticationRequestView
from urllib3.exceptions import HTTPError

from runbooks.access.tokens import LEEWAY, REQUIRED
from runbookweb.readers import keys_url

logger = logging.getLogger(__name__)
TIMEOUT = 3  # seconds of silence
WITHIN = 10.0  # seconds, for one answer in all
MOST_BYTES = 1024 * 1024
PLACES = threading.BoundedSemaphore(8)  # for questions at a time
# What a provider that answers nonsense makes the library and us stumble over.
NONSENSE = (jwt.PyJWTError, SuspiciousOperation, LookupError, TypeError, ValueError, AttributeError, RecursionError)


class NotSignedIn(Exception):
    """The sign-in came to nothing; str() says why in a sentence for people, and status is the answer's."""

    def __init__(self, sentence: str, *, status: int = 403):
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True)
class Description:
    """What a provider says of itself."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    takes_secret_in_form: bool


def described() -> Description:
    """The configured provider's description, read once; raises NotSignedIn while it cannot be had."""
    try:
        return read_description(settings.CONFIGURATION.OIDC_ISSUER)
    except (requests.RequestException, *NONSENSE) as problem:
        raise unanswered(problem) from None


@lru_cache(maxsize=1)
def read_description(issuer: str) -> Description:
    said = _said(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if said["issuer"].rstrip("/") != issuer.rstrip("/"):
        raise ValueError(f"OIDC_ISSUER: the provider names itself {said['issuer']!r}")
    return Description(
        issuer=said["issuer"],
        authorization_endpoint=keys_url(said["authorization_endpoint"]),
        token_endpoint=keys_url(said["token_endpoint"]),
        jwks_uri=keys_url(said["jwks_uri"]),
        takes_secret_in_form="client_secret_post" in said.get("token_endpoint_auth_methods_supported", []),
    )


def redirect_uri(request: HttpRequest) -> str:
    """Where the provider is to send people back to."""
    return settings.CONFIGURATION.OIDC_REDIRECT_URI or request.build_absolute_uri(reverse("single-sign-on-callback"))


def unanswered(problem: Exception) -> NotSignedIn:
    logger.warning("No single sign-on: %s: %s", type(problem).__name__, str(problem)[:500])
    return NotSignedIn("The provider of single sign-on does not answer as it should. Try again later.", status=503)


def _said(address: str, *, form: dict[str, object] | None = None, auth: tuple[str, str] | None = None) -> dict:
    """The JSON that this address answers, to the form if there is one; raises RequestException.

    In a thread: a timeout of sockets counts silence alone, so a byte a second would hold the request for ever.
    """
    until = time.monotonic() + WITHIN
    answer: Future[bytes] = Future()
    question = threading.Thread(target=_ask, args=(answer, until, address, form, auth), daemon=True)
    try:
        if not PLACES.acquire(timeout=WITHIN):
            raise TimeoutError
        question.start()
        body = answer.result(until - time.monotonic())
    except TimeoutError:
        raise requests.Timeout(f"{address} has not answered within {WITHIN:g} s") from None
    try:
        return json.loads(body)
    except ValueError:
        raise requests.exceptions.InvalidJSONError(f"{address} has not answered JSON") from None


def _ask(answer: Future, until: float, address: str, form: dict | None, auth: tuple[str, str] | None) -> None:
    try:
        answer.set_result(_body(until, address, form, auth))
    except HTTPError as problem:  # of urllib3: requests translates only what it reads itself
        answer.set_exception(requests.ConnectionError(problem))
    except Exception as problem:
        answer.set_exception(problem)
    finally:
        PLACES.release()


def _body(until: float, address: str, form: dict | None, auth: tuple[str, str] | None) -> bytes:
    """What this address answers with status 200, and no other: whoever is redirected to would be given our secret."""
    options = {"data": form, "auth": auth, "headers": {"Accept-Encoding": "identity"}}
    method, body = "POST" if form else "GET", bytearray()
    with requests.request(method, address, timeout=TIMEOUT, allow_redirects=False, stream=True, **options) as answer:
        while len(body) <= MOST_BYTES and time.monotonic() < until and (chunk := answer.raw.read1(65536)):
            body += chunk
    if len(body) > MOST_BYTES:
        raise requests.RequestException(f"{address} answers more than {MOST_BYTES} bytes")
    if answer.status_code != 200:
        raise requests.HTTPError(f"{address} answers {answer.status_code}: {bytes(body[:200])!r}")
    return bytes(body)


def _setting(name: str, *default: object) -> object:
    """The library's settings: ours, what the provider says of itself, or else the library's default."""
    configuration, provider = settings.CONFIGURATION, described()
    known = {
        "OIDC_OP_AUTHORIZATION_ENDPOINT": provider.authorization_endpoint,
        "OIDC_OP_TOKEN_ENDPOINT": provider.token_endpoint,
        "OIDC_OP_USER_ENDPOINT": "",  # the ID token says all that we ask for
        "OIDC_OP_JWKS_ENDPOINT": provider.jwks_uri,
        "OIDC_RP_CLIENT_ID": configuration.OIDC_CLIENT_ID,
        "OIDC_RP_CLIENT_SECRET": configuration.OIDC_CLIENT_SECRET,
        "OIDC_RP_SCOPES": configuration.OIDC_SCOPES,
        "OIDC_RP_SIGN_ALGO": configuration.OIDC_SIGN_ALGORITHM,
        "OIDC_TOKEN_USE_BASIC_AUTH": bool(configuration.OIDC_CLIENT_SECRET) and not provider.takes_secret_in_form,
        "OIDC_TIMEOUT": TIMEOUT,
        "OIDC_USE_PKCE": True,
        "OIDC_AUTHENTICATION_CALLBACK_URL": "single-sign-on-callback",
    }
    return known[name] if name in known else import_from_settings(name, *default)


class Start(OIDCAuthenticationRequestView):
    get_settings = staticmethod(_setting)

    def get_extra_params(self, request: HttpRequest) -> dict[str, str]:
        return {"redirect_uri": redirect_uri(request)}


class Client(OIDCAuthenticationBackend):
    get_settings = staticmethod(_setting)

    def get_token(self, payload: dict[str, object]) -> dict[str, object]:
        """What the provider gives for a code."""
        auth = None
        if self.get_settings("OIDC_TOKEN_USE_BASIC_AUTH"):
            auth = (self.OIDC_RP_CLIENT_ID, self.OIDC_RP_CLIENT_SECRET)
            payload = {name: value for name, value in payload.items() if name != "client_secret"}
        return _said(self.OIDC_OP_TOKEN_ENDPOINT, form=payload, auth=auth)

    def retrieve_matching_jwk(self, token: str) -> jwt.PyJWK:
        """The provider's key that the token names; where there is one key alone, its name may be left out."""
        kid = jwt.get_unverified_header(token).get("kid")
        published = jwt.PyJWKSet.from_dict(_said(self.OIDC_OP_JWKS_ENDPOINT)).keys
        keys = [key for key in published if key.public_key_use in (None, "sig") and kid in (None, key.key_id)]
        if len(keys) != 1:
            raise jwt.InvalidKeyError(f"{len(keys)} of the provider's keys could have signed the ID token")
        return keys[0]

    def get_payload_data(self, token: str, key: jwt.PyJWK) -> dict[str, object]:
        """The payload if it is signed, timely, from this provider and for us: the library asks for the first alone."""
        payload = jwt.decode(
            token,
            key,
            algorithms=[self.OIDC_RP_SIGN_ALGO],
            issuer=described().issuer,
            audience=self.OIDC_RP_CLIENT_ID,
            leeway=LEEWAY,
            options={"require": [*REQUIRED, "iat"], "enforce_minimum_key_length": True},
        )
        if payload.get("azp", self.OIDC_RP_CLIENT_ID) != self.OIDC_RP_CLIENT_ID:
            raise jwt.InvalidAudienceError("The ID token was issued to another client.")
        return payload
