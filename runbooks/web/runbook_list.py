"""The list of runbooks, with its search."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from runbooks import library
from runbooks.access import rules
from runbooks.access.identify import signed_in
from runbooks.library import LibraryRunbook


@require_safe
@signed_in
def runbooks(request: HttpRequest) -> HttpResponse:
    query = request.GET.get("q", "").strip()
    last_runs = library.last_runs(request.actor)
    rows = [
        {
            "runbook": runbook,
            "last_run": last_runs.get(runbook.path),
            "refusal": rules.refusal(request.actor, runbook.runbook.claims),
        }
        for runbook in library.runbooks()
        if _matches(runbook, query)
    ]
    is_fragment = request.htmx and not request.htmx.history_restore_request
    template = "runbooks/_list.html" if is_fragment else "runbooks/list.html"
    return render(request, template, {"rows": rows, "query": query, "trouble": library.trouble()})


def _matches(runbook: LibraryRunbook, query: str) -> bool:
    text = f"{runbook.path} {runbook.runbook.summary}".casefold()
    return all(word in text for word in query.casefold().split())
