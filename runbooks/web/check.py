"""Checks what was typed into a runbook's form before it is sent; nothing is started, and nothing kept."""

from collections.abc import Iterator

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from runbooks import library
from runbooks.access import rules
from runbooks.execution import control
from runbooks.library import LibraryRunbook
from runbooks.web import forms
from runbooks.web.swap import replacement


@require_POST
@never_cache
def check(request: HttpRequest, path: str) -> HttpResponse:
    """The message of each field that is asked about, or of all: none clears what stood there."""
    if request.actor is None:
        # To be led to the sign-in from here would take from people what they have typed.
        return HttpResponse(status=401)
    runbook = library.runbook_for(request.actor, path)
    if not rules.sees_runs(request.actor, runbook.runbook):
        raise rules.Refused(request.actor, runbook.runbook.claims)
    return HttpResponse("".join(_messages(request, runbook)))


def _messages(request: HttpRequest, runbook: LibraryRunbook) -> Iterator[str]:
    errors = control.misfits(runbook, forms.start_values(request.POST, runbook.runbook))
    asked = request.POST.getlist(forms.FIELD)
    # A file is not sent before all is, so nothing can be said of it.
    for requirement in runbook.runbook.requirements:
        if requirement.type != "file" and (requirement.name in asked or not asked):
            yield _message(f"field-{requirement.name}", errors.get(requirement.name, ""))
    if runbook.runbook.settings.confirm and (forms.REASON in asked or not asked):
        yield _message("why", forms.reason_problem(runbook.runbook, forms.start_reason(request.POST)))


def _message(id: str, error: str) -> str:
    return replacement(f"{id}-error", render_to_string("runbooks/_message.html", {"error": error}), swap="innerHTML")
