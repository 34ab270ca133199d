"""The OpenID Connect provider, and our side of asking it.

mozilla-django-oidc makes state, nonce and PKCE, fetches the ID token and verifies it. What it leaves out is here: what
the provider says of itself, and the token's audience, issuer and required claims.
"""

import logging
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

from runbooks.access.tokens import LEEWAY, REQUIRED
from runbookweb.readers import keys_url

logger = logging.getLogger(__name__)
TIMEOUT = 3
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
    said = _fetched(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
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


def _fetched(address: str) -> dict[str, object]:
    answer = requests.get(address, timeout=TIMEOUT)
    answer.raise_for_status()
    return answer.json()


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

    def retrieve_matching_jwk(self, token: str) -> jwt.PyJWK:
        """The provider's key that the token names; where there is one key alone, its name may be left out."""
        kid = jwt.get_unverified_header(token).get("kid")
        published = jwt.PyJWKSet.from_dict(_fetched(self.OIDC_OP_JWKS_ENDPOINT)).keys
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
