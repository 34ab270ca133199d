"""How the server is configured, and who one is."""

import platform
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.models import Session
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from runbooks.access import accounts
from runbooks.access.identify import KEY, signed_in
from runbooks.templatetags.show import ago, moment
from runbookweb import configured

PARTS = ("Django", "channels", "daphne", "django-htmx")


@require_safe
@signed_in
def configuration(request: HttpRequest) -> HttpResponse:
    groups = configured.grouped(settings.CONFIGURATION)
    context = {
        "groups": groups.items(),
        "set": sum(item.source != "default" for items in groups.values() for item in items),
        "claims": [(claim, ", ".join(values)) for claim, values in sorted(request.actor.claims.items())],
        "session": list(_session(request.session)),
        "address": request.META.get("REMOTE_ADDR", ""),
        "versions": [("Python", platform.python_version()), *((part, version(part)) for part in PARTS)],
        "built_at": settings.CONFIGURATION.BUILT_AT,
        "is_staff": request.user.is_staff,
    }
    return render(request, "configuration.html", context)


def _session(session: SessionBase) -> Iterator[tuple[str, str]]:
    """How one has signed in, since when and until when, as far as the session tells."""
    ends = session.get(KEY, {}).get("until")
    if accounts.is_signed_in(session):
        yield "Signed in by", "an account and its password"
    else:
        yield "Signed in by", "single sign-on" if ends else "the development sign-in"
    if kept := Session.objects.filter(pk=session.session_key).values_list("expire_date", flat=True).first():
        # Nothing but a sign-in writes a session.
        yield "Since", ago(kept - timedelta(seconds=settings.SESSION_COOKIE_AGE))
        yield "Until", moment(min(kept, datetime.fromtimestamp(ends, UTC)) if ends else kept)
