"""Who asks: the actor that a session belongs to, or that a bearer token names."""

import logging
import math
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import wraps
from importlib import import_module
from urllib.parse import urlencode, urlsplit, urlunsplit

from django.conf import settings
from django.contrib import auth
from django.contrib.auth.models import AbstractUser
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, parse_cookie
from django.middleware.csrf import rotate_token
from django.shortcuts import resolve_url
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django_htmx.http import HttpResponseClientRedirect

from runbooks.access import accounts
from runbooks.access.actor import Actor
from runbooks.access.tokens import Token, token_of_header

KEY = "actor"
logger = logging.getLogger(__name__)
View = Callable[..., HttpResponse]


class ActorMiddleware:
    """Sets request.actor: who is signed in, or None."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.actor = actor_of_session(request.session)
        return self.get_response(request)


def actor_of_session(session: SessionBase | Mapping) -> Actor | None:
    """Who signed in with this session, or None. An account is read anew each time: what it may do can change."""
    if accounts.is_signed_in(session):
        return accounts.actor_of_session(session)
    stored = session.get(KEY)
    if not stored or stored.get("until", math.inf) < time.time():
        return None
    return Actor(id=stored["id"], claims={claim: tuple(values) for claim, values in stored["claims"].items()})


def session_of(cookie: str) -> SessionBase:
    """The session that a Cookie header names, for what is reached without Django's middleware."""
    key = parse_cookie(cookie).get(settings.SESSION_COOKIE_NAME)
    return import_module(settings.SESSION_ENGINE).SessionStore(key)


def asker(authorization: str, session: SessionBase | Mapping | None) -> Token:
    """Who asks, by an Authorization header or else by a session that may stand in for one; raises BadToken."""
    if not authorization and session is not None and (actor := actor_of_session(session)):
        return Token(actor)
    return token_of_header(authorization)


def sign_in(request: HttpRequest, actor: Actor, *, lasts: timedelta | None = None) -> None:
    """Make this session the actor's alone, under a new key: a key that was known before must not open it."""
    sign_out(request)
    request.session[KEY] = {"id": actor.id, "claims": {claim: list(values) for claim, values in actor.claims.items()}}
    if lasts:
        request.session[KEY]["until"] = time.time() + lasts.total_seconds()
    rotate_token(request)
    _remember(request)


def sign_in_account(request: HttpRequest, account: AbstractUser) -> None:
    """Make this session the account's alone, for the pages and for /admin/ alike."""
    sign_out(request)
    auth.login(request, account)
    _remember(request)


def sign_out(request: HttpRequest) -> None:
    """End the session, whoever's it is, with all that is in it."""
    auth.logout(request)
    request.actor = None


def signed_in(view: View) -> View:
    """Send who is not signed in to the sign-in page, and from there back; keep the pages out of every cache."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        return view(request, *args, **kwargs) if request.actor else _to_sign_in(request)

    return never_cache(guarded)


def next_path(request: HttpRequest) -> str:
    """Where to go after the sign-in: a path of ours, whatever the address asks for."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    is_ours = wanted.startswith("/") and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
    return wanted if is_ours else resolve_url("runbooks")


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    page, back = reverse("login"), _page_of(request)
    if back:
        page += "?" + urlencode({"next": back}, safe="/")
    # A redirect would be followed by the browser, and the sign-in page put into the middle of this one.
    return HttpResponseClientRedirect(page) if request.htmx else HttpResponseRedirect(page)


def _page_of(request: HttpRequest) -> str:
    """The page that somebody is on: a fragment of it cannot be gone back to, nor a form that was sent."""
    if request.method in ("GET", "HEAD") and not request.htmx:
        return request.get_full_path()
    try:
        page = urlsplit(request.headers.get("HX-Current-URL" if request.htmx else "Referer", ""))
    except ValueError:
        return ""
    is_ours = page.netloc == request.get_host()
    return urlunsplit(("", "", page.path, page.query, page.fragment)) if is_ours else ""


def _remember(request: HttpRequest) -> None:
    request.actor = actor_of_session(request.session)
    logger.info("Signed in: %s", request.actor.id, extra={"actor": request.actor.id})
