"""The frame around each page, and the way in."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_safe

PAGES = (("runbooks", "Runbooks"), ("runs", "Runs"), ("usage", "Usage"), ("configuration", "Configuration"))
BELOW = {"doctor": "configuration", "explorer": "configuration"}  # whose addresses do not tell


def every_page(request: HttpRequest) -> dict[str, Any]:
    """What the frame around each page shows."""
    actor = getattr(request, "actor", None)
    return {"ui_header": settings.UI_HEADER, "actor": actor, "navigation": _navigation(request)}


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    return redirect("runbooks")


def _navigation(request: HttpRequest) -> list[dict[str, str]]:
    """The pages of the frame; the one that is shown is `page`, and the one that it is a part of is `true`."""
    pages = [{"address": reverse(name), "label": label, "name": name, "current": ""} for name, label in PAGES]
    above = BELOW.get(request.resolver_match.url_name if request.resolver_match else "")
    for page in pages:
        if request.path == page["address"]:
            page["current"] = "page"
        elif above == page["name"] or request.path.startswith(page["address"]):
            page["current"] = "true"
    return pages
