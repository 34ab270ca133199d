"""Bearer tokens: who asks, as a signed JWT says, and the tokens that we sign ourselves.

Not for the event loop: reading a token may ask the database, and fetch keys.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import jwt
from django.conf import settings
from django.utils.crypto import salted_hmac

from runbooks.access.actor import Actor
from runbooks.models import ACTIVE, Run

logger = logging.getLogger(__name__)
MOST_BYTES = 8 * 1024
MOST_SUBJECT = 255  # a run's row has no place for a longer one
REQUIRED = ("exp", "iss", "aud", "sub")
NOT_CLAIMS = frozenset({*REQUIRED, "nbf", "iat", "jti", "run"})
LEEWAY = timedelta(seconds=30)
KEYS_TIMEOUT = 3
KEYS_PAUSE = 10
UNREADABLE = "This is no token that can be read, or its signature is wrong."
SENTENCES = {
    jwt.ExpiredSignatureError: "The token has expired; get another.",
    jwt.ImmatureSignatureError: "The token is not valid yet.",
    jwt.InvalidAudienceError: "The token is for another audience.",
    jwt.InvalidIssuerError: "The token is from another issuer.",
    jwt.InvalidAlgorithmError: "The token is not signed with the algorithm that is accepted here.",
}


class BadToken(Exception):
    """A token that is not accepted; str() says why in a sentence for the client."""


class NoKeys(BadToken):
    """The keys to check a token with cannot be had now: the token may be right."""

    def __init__(self) -> None:
        super().__init__("The keys that sign tokens cannot be fetched at present; try again later.")


@dataclass(frozen=True)
class Token:
    """What an accepted token says: who asks, and the run whose script it was made for."""

    actor: Actor
    run: int | None = None


def issue(actor: Actor, *, run: int | None = None, lifetime: timedelta | None = None) -> tuple[str, datetime]:
    """A token of ours for this actor, and when it ends.

    One that names a run ends with that run at the latest, and has the run's claims: it need not carry them.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    ends = now + (lifetime or timedelta(minutes=settings.CONFIGURATION.JWT_TTL_MINUTES))
    claims = {claim: list(values) for claim, values in actor.claims.items() if claim not in NOT_CLAIMS and run is None}
    registered = {
        "iss": settings.CONFIGURATION.JWT_ISSUER,
        "aud": settings.CONFIGURATION.JWT_AUDIENCE,
        "sub": actor.id,
        "exp": ends,  # and no "iat": such a token would not be accepted for an hour after a clock went back by one
    }
    if run is not None:
        registered["run"] = run
    return jwt.encode({**claims, **registered}, _our_secret(), algorithm="HS256"), ends


def token_of_header(authorization: str) -> Token:
    """What the token in an Authorization header says; raises BadToken."""
    if not authorization:
        raise BadToken("Send a token: Authorization: Bearer <token>.")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise BadToken("The Authorization header has another scheme than Bearer.")
    return read(token.strip())


def read(token: str) -> Token:
    """What a token says if it is signed, complete, timely and for us; raises BadToken."""
    if not isinstance(token, str) or not token.isascii():
        raise BadToken(UNREADABLE)
    if len(token) > MOST_BYTES:
        raise BadToken(f"The token is longer than {MOST_BYTES} bytes.")
    payload = _checked(token)
    if not payload["sub"].strip() or len(payload["sub"]) > MOST_SUBJECT or not payload["sub"].isprintable():
        raise BadToken(f"The token's subject must be 1 to {MOST_SUBJECT} printable characters.")
    if "run" in payload:
        return _of_run(payload)
    return Token(Actor(payload["sub"], claims_of(payload)))


def claims_of(payload: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """Each claim that is a string or a list of strings, but for those that JWT itself gives a meaning."""
    claims = {claim: (value,) if isinstance(value, str) else value for claim, value in payload.items()}
    return {
        claim: tuple(values)
        for claim, values in claims.items()
        if claim not in NOT_CLAIMS and isinstance(values, list | tuple) and _are_texts([claim, *values])
    }


def _checked(token: str) -> dict[str, object]:
    try:
        return _payload(token)
    except jwt.MissingRequiredClaimError as problem:
        raise BadToken(f"The token has no claim {problem.claim}.") from None
    except jwt.PyJWTError as problem:
        raise BadToken(SENTENCES.get(type(problem), UNREADABLE)) from None


def _payload(token: str) -> dict[str, object]:
    """The payload by our secret or else by the configured keys; each has one algorithm, whatever the token asks for."""
    try:
        return _decoded(token, key=_our_secret(), algorithm="HS256")
    except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError):
        if not settings.CONFIGURATION.JWT_JWKS_URL:
            raise
    payload = _decoded(token, key=_published_key(token), algorithm=settings.CONFIGURATION.JWT_ALGORITHM)
    # Tokens of runs are ours alone: a provider's claim of this name means something else.
    return {claim: value for claim, value in payload.items() if claim != "run"}


def _decoded(token: str, *, key: str | jwt.PyJWK, algorithm: str) -> dict[str, object]:
    return jwt.decode(
        token,
        key,
        algorithms=[algorithm],
        issuer=settings.CONFIGURATION.JWT_ISSUER,
        audience=settings.CONFIGURATION.JWT_AUDIENCE,
        leeway=LEEWAY,
        options={"require": list(REQUIRED), "enforce_minimum_key_length": True},
    )


def _our_secret() -> str:
    """What signs our own tokens; without JWT_SECRET it is known to this server alone, so nobody else's is accepted."""
    return settings.CONFIGURATION.JWT_SECRET or salted_hmac("runbookweb.tokens", "", algorithm="sha256").hexdigest()


def _published_key(token: str) -> jwt.PyJWK:
    header = jwt.get_unverified_header(token)
    if header.get("alg") != settings.CONFIGURATION.JWT_ALGORITHM:
        raise jwt.InvalidAlgorithmError
    return _keys(settings.CONFIGURATION.JWT_JWKS_URL).get_signing_key(header.get("kid"))


@lru_cache(maxsize=1)
def _keys(url: str) -> "Keys":
    return Keys(url)


class Keys(jwt.PyJWKClient):
    """The published keys, kept for minutes; a key that is not among them is looked for at most every KEYS_PAUSE."""

    def __init__(self, url: str):
        super().__init__(url, timeout=KEYS_TIMEOUT, cooldown_duration=KEYS_PAUSE)
        self.failed_at: float | None = None

    def fetch_data(self) -> object:
        # Callers come one by one: each would wait for the whole timeout while the keys cannot be had.
        if self.failed_at is not None and time.monotonic() - self.failed_at < KEYS_PAUSE:
            raise NoKeys
        try:
            return super().fetch_data()
        except (jwt.PyJWTError, OSError, ValueError, RecursionError) as problem:
            self.failed_at = time.monotonic()
            logger.warning("No keys from JWT_JWKS_URL: %s: %s", type(problem).__name__, problem)
            raise NoKeys from None


def _are_texts(values: list[object]) -> bool:
    # Half a surrogate pair can be neither stored nor sent.
    return all(isinstance(value, str) and value.isprintable() for value in values)


def _of_run(payload: Mapping[str, object]) -> Token:
    """What the token of a script says: who asked for its run, with the claims of then; raises BadToken."""
    number = payload["run"]
    run = (
        Run.objects.only("actor", "claims").filter(pk=number, state__in=ACTIVE).first() if type(number) is int else None
    )
    if run is None or run.actor != payload["sub"]:
        raise BadToken("The token was made for a run that has ended.")
    return Token(Actor(run.actor, {claim: tuple(values) for claim, values in run.claims.items()}), run=run.pk)
