"""The frame around each page, and the way in."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_safe


def every_page(request: HttpRequest) -> dict[str, Any]:
    """What the frame around each page shows."""
    pages = (("runbooks", "Runbooks"), ("runs", "Runs"), ("configuration", "Configuration"))
    here = request.resolver_match.url_name if request.resolver_match else ""
    here = {"runbook": "runbooks", "start": "runbooks", "run": "runs"}.get(here, here)
    navigation = [{"url": url, "label": label, "is_here": url == here} for url, label in pages]
    return {"ui_header": settings.UI_HEADER, "actor": getattr(request, "actor", None), "navigation": navigation}


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    return redirect("runbooks")
