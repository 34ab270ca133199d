"""The page of a runbook: its documentation, its form and its past runs."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from runbooks import library
from runbooks.access import rules
from runbooks.access.actor import Actor
from runbooks.access.identify import signed_in
from runbooks.document.render import render as rendered_markdown
from runbooks.library import LibraryRunbook
from runbooks.models import Run, State
from runbooks.typical import typical_seconds
from runbooks.web import documentation
from runbooks.web.charts import duration_chart
from runbooks.web.favourites import favourites_of
from runbooks.web.run_form import run_form

CHARTED = 50  # of the past runs
LISTED = 10
JUST_NOW = timedelta(minutes=2)
SHORT = 4  # fields: a form of so many fits beside the text in most windows, and stays there while one reads


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
    form = run_form(request, runbook, typed=typed, errors=errors or {})
    context = {
        "runbook": runbook,
        "form": form,
        "refused_fields": form.messages,
        "refusal": rules.refusal(request.actor, runbook.runbook.claims),
        "needs": [(claim, ", ".join(accepted)) for claim, accepted in sorted(runbook.runbook.claims.items())],
        "sees_runs": rules.sees_runs(request.actor, runbook.runbook),
        "is_short": len(form.fields) + 2 * runbook.runbook.settings.confirm <= SHORT,
        "is_favourite": runbook.path in favourites_of(request.actor),
    }
    context |= documentation.shown_of(runbook, has_form=not context["refusal"] and not runbook.errors)
    if context["sees_runs"]:
        context |= _past(request.actor, runbook)
    return render(request, "runbooks/runbook.html", context, status=422 if errors else 200)


def _past(actor: Actor, runbook: LibraryRunbook) -> dict[str, Any]:
    """Its newest runs as a table, more of them as a chart, and what the file's History tells."""
    past = library.visible_runs(actor).filter(runbook=runbook.path)
    runs = list(library.without_bulk(past)[:CHARTED])
    return {
        "past_runs": runs[:LISTED],
        "current_runs": [run for run in runs if run.is_active or _is_just_begun(run, actor)][:LISTED],
        "chart": duration_chart(runs, typical=typical_seconds(past, runbook.path)) if len(runs) > 1 else "",
        "history": rendered_markdown(runbook.runbook.history, ids="history"),
    }


def _is_just_begun(run: Run, actor: Actor) -> bool:
    """Whether this person may not know yet that they have begun it: the answer can be lost on its way to them."""
    return run.actor == actor.id and run.state != State.REFUSED and timezone.now() - run.queued_at < JUST_NOW
