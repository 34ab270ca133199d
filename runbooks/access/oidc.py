"""Single sign-on by OpenID Connect: who signed in at the provider, as its ID token says; no account is made of it."""

import json
import logging
import time
from collections.abc import Mapping
from datetime import timedelta

import requests
from django.conf import settings
from django.contrib.sessions.backends.base import UpdateError
from django.http import HttpRequest

from runbooks.access.actor import Actor
from runbooks.access.oidc_provider import NONSENSE, Client, NotSignedIn, Start, described, redirect_uri, unanswered
from runbooks.access.tokens import MOST_SUBJECT, claims_of

logger = logging.getLogger(__name__)
LONGEST = timedelta(hours=8)  # how long one is signed in; the provider is not asked in between
PATIENCE = timedelta(minutes=10)  # how long one may take at the provider
MOST_CLAIMS = 16 * 1024  # bytes; two hundred groups as UUIDs, taken as groups and as roles, are as many
STATES, THEN = "oidc_states", "oidc_login_next"  # where the library keeps in the session what it began
OF_THE_PROTOCOL = ("nonce", "at_hash", "c_hash", "sid", "azp", "roles")


def is_configured() -> bool:
    return bool(settings.CONFIGURATION.OIDC_ISSUER)


def begin(request: HttpRequest, *, then: str) -> str:
    """The address at the provider to sign in at; the session remembers what its answer must match, and what then."""
    request.session[THEN] = then
    described()
    if request.actor is None:
        request.session.set_expiry(PATIENCE)  # or anybody who asks and never comes back leaves a row for two weeks
    address = Start.as_view()(request).url
    request.session[THEN] = then  # the library puts there what it makes of the request
    return address


def destination(request: HttpRequest) -> str:
    """Where they wanted to go who began to sign in with this session; empty if nobody did."""
    return request.session.get(THEN) or ""


def is_over(request: HttpRequest) -> bool:
    """Whether somebody is signed in already who comes back from the provider a second time, in another tab."""
    return request.actor is not None and request.GET.get("state", "") not in request.session.get(STATES, {})


def finish(request: HttpRequest) -> Actor:
    """Who comes back from the provider; raises NotSignedIn."""
    begun = _begun(request)
    if "error" in request.GET:
        logger.warning("No single sign-on: the provider says %r", request.GET["error"][:100])
        denied = request.GET["error"] == "access_denied"
        raise NotSignedIn(f"The provider {'denied the sign-in' if denied else 'could not sign you in'}. Try again.")
    return _actor(_id_token(request, begun))


def _begun(request: HttpRequest) -> Mapping[str, object]:
    """What was remembered under the state that comes back; it is taken out, for an answer counts once."""
    states = request.session.get(STATES, {})
    begun = states.pop(request.GET.get("state", ""), None)
    if not begun or not _is_kept(request, states) or time.time() - begun["added_on"] > PATIENCE.total_seconds():
        sentence = "This sign-in was begun in another browser, or too long ago, or is over already. Try again."
        raise NotSignedIn(sentence, status=400)
    return begun


def _is_kept(request: HttpRequest, states: Mapping[str, object]) -> bool:
    """Whether the session could be changed; at once, for with an answer of 503 Django would not."""
    request.session[STATES] = states
    try:
        request.session.save()
    except UpdateError:
        return False  # signed out meanwhile
    return True


def _id_token(request: HttpRequest, begun: Mapping[str, object]) -> dict[str, object]:
    """What the verified ID token says that the provider gives for this code."""
    described()
    client = Client()
    question = {
        "grant_type": "authorization_code",
        "client_id": client.OIDC_RP_CLIENT_ID,
        "client_secret": client.OIDC_RP_CLIENT_SECRET,
        "code": request.GET.get("code", ""),
        "redirect_uri": redirect_uri(request),
        "code_verifier": begun["code_verifier"],
    }
    try:
        return client.verify_token(client.get_token(question).get("id_token"), nonce=begun["nonce"])
    except requests.RequestException as problem:
        raise unanswered(problem) from None
    except NONSENSE as problem:
        logger.warning("No single sign-on: %s: %s", type(problem).__name__, problem)
        raise NotSignedIn("What the provider says of you is not accepted here; the server's log says why.") from None


def _actor(payload: Mapping[str, object]) -> Actor:
    claims = {claim: values for claim, values in claims_of(payload).items() if claim not in OF_THE_PROTOCOL}
    if payload.get("email_verified") not in (True, "true"):
        # Anybody may write any address into their profile.
        claims.pop("email", None)
    roles = claims_of({"roles": _found(payload, settings.CONFIGURATION.OIDC_ROLES_CLAIM)})
    claims |= roles
    if len(json.dumps(claims)) > MOST_CLAIMS:
        sentence = f"The provider says more of you than the {MOST_CLAIMS} bytes of claims that are kept here."
        raise NotSignedIn(f"{sentence} Tell whoever looks after this server.")
    return Actor(_name(claims, sub=payload["sub"]), claims)


def _name(claims: Mapping[str, tuple[str, ...]], *, sub: str) -> str:
    """The name that runs will show: the claim that is configured, or else the first of those that people can read."""
    chosen = settings.CONFIGURATION.OIDC_NAME_CLAIM
    known = {**claims, "sub": (sub,)}
    names = [known.get(claim, ("",)) for claim in ([chosen] if chosen else ["preferred_username", "email", "sub"])]
    for name in names:
        if len(name) == 1 and name[0].strip() and name[0].isprintable() and len(name[0]) <= MOST_SUBJECT:
            return name[0]
    raise NotSignedIn("The provider gives you no name that can be shown here. Tell whoever looks after this server.")


def _found(payload: Mapping[str, object], claim: str) -> object:
    """A claim by its name, or else by the path to it in nested objects, such as realm_access.roles."""
    if claim in payload:
        return payload[claim]
    value: object = payload
    for step in claim.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
