"""The page of a runbook: its documentation, its form and its past runs."""

import re
import uuid
from collections.abc import Mapping
from functools import lru_cache

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from runbooks import library
from runbooks.access import rules
from runbooks.access.identify import signed_in
from runbooks.document.render import render as rendered_markdown
from runbooks.execution import environment
from runbooks.library import LibraryRunbook
from runbooks.web import forms

PAST_RUNS = 10


@require_safe
@signed_in
def runbook(request: HttpRequest, path: str) -> HttpResponse:
    return runbook_page(request, library.runbook_for(request.actor, path))


def runbook_page(
    request: HttpRequest,
    runbook: LibraryRunbook,
    *,
    typed: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
) -> HttpResponse:
    fields = forms.run_fields(runbook.runbook, typed=typed, errors=errors, provided=environment.provided_values())
    context = {
        "runbook": runbook,
        "documentation": _documentation(runbook),
        "fields": fields,
        "confirmation": forms.CONFIRMATION,
        "key": (forms.KEY, uuid.uuid4()),
        "refused_fields": [field for field in fields if field.error],
        "other_errors": _beside_the_fields(errors or {}, fields),
        "refusal": rules.refusal(request.actor, runbook.runbook.claims),
        "needs": [(claim, ", ".join(accepted)) for claim, accepted in sorted(runbook.runbook.claims.items())],
        "sees_runs": rules.sees_runs(request.actor, runbook.runbook),
    }
    if context["sees_runs"]:
        past = library.visible_runs(request.actor).filter(runbook=runbook.path)
        context["past_runs"] = library.without_bulk(past)[:PAST_RUNS]
        context["history"] = rendered_markdown(runbook.runbook.history, ids="history")
    return render(request, "runbooks/runbook.html", context, status=422 if errors else 200)


def _beside_the_fields(errors: Mapping[str, str], fields: list[forms.Field]) -> list[str]:
    """The messages that have no field to stand at; a stray name is said, for it explains the message."""
    shown = {field.name for field in fields}
    strays = {name: message for name, message in errors.items() if name not in shown}
    return [message if name in ("", forms.CONFIRMATION) else f"{name}: {message}" for name, message in strays.items()]


def _documentation(runbook: LibraryRunbook) -> str:
    # The page is headed with the name already.
    heading = rf"\A\s*# +{re.escape(runbook.runbook.name)}[ \t]*#*[ \t]*(\n|\Z)"
    return _html(re.sub(heading, "", runbook.runbook.documentation))


@lru_cache(maxsize=128)
def _html(markdown: str) -> str:
    return rendered_markdown(markdown, ids="doc")
