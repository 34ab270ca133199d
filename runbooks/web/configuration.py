"""How the server is configured, and who one is."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from runbooks.access.identify import signed_in
from runbookweb import configured


@require_safe
@signed_in
def configuration(request: HttpRequest) -> HttpResponse:
    context = {
        "items": configured.items(settings.CONFIGURATION),
        "claims": [(claim, ", ".join(values)) for claim, values in sorted(request.actor.claims.items())],
        "address": request.META.get("REMOTE_ADDR", ""),
    }
    return render(request, "configuration.html", context)
