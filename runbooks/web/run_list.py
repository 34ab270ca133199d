"""The list of runs with its filter, and above it those that go on."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from runbooks import library
from runbooks.access import rules
from runbooks.access.actor import Actor
from runbooks.access.identify import signed_in
from runbooks.models import Run, State
from runbooks.web import active_runs, output_search
from runbooks.web.errors import busy
from runbooks.web.run_filter import RunFilter
from runbooks.web.search_places import Busy, places

PAGE = 50
RECENT = 500  # runs whose people are proposed in the field of that name
PAGE_TEMPLATE, FILTERED, FOUND = "runs/list.html", "runs/_filtered.html", "runs/_found.html"
# What htmx may replace, by its id.
PARTS = {"filtered": FILTERED, "found": FOUND, "search-on": "runs/_hits.html"}


@require_safe
@signed_in
def runs(request: HttpRequest) -> HttpResponse:
    wanted, template = RunFilter(request.GET), _template(request)
    try:
        context = _context(request.actor, wanted, template)
    except Busy as problem:
        return busy(request, problem)
    answer = render(request, template, context, status=200 if wanted.is_valid() else 400)
    if template == FOUND and wanted.is_valid():
        # The form's own address has all its empty fields: nobody would want to send that to somebody.
        answer.headers["HX-Replace-Url"] = wanted.address(before=wanted.cleaned_data["before"])
    return answer


def _template(request: HttpRequest) -> str:
    """The page, or the part of it that htmx replaces."""
    is_fragment = request.htmx and not request.htmx.history_restore_request
    replaced = (request.htmx.target or "").partition("#")[2]
    return PARTS.get(replaced, PAGE_TEMPLATE) if is_fragment else PAGE_TEMPLATE


def _context(actor: Actor, wanted: RunFilter, template: str) -> dict[str, Any]:
    known = library.runbooks()
    visible = library.visible_runs(actor, known=known)
    context: dict[str, Any] = {"wanted": wanted, "is_fragment": template == FOUND}
    if wanted.is_valid():
        context |= _found(visible, wanted, actor=actor)
    if template in (PAGE_TEMPLATE, FILTERED):
        seen = [runbook.path for runbook in known if rules.sees_runs(actor, runbook.runbook)]
        context |= _choices(seen, visible, wanted)
    if template == PAGE_TEMPLATE:
        context |= active_runs.context(visible)
    return context


def _found(visible: QuerySet[Run], wanted: RunFilter, *, actor: Actor) -> dict[str, Any]:
    """What the list shows: a page of runs, or what was found in their output."""
    fitting = wanted.runs(visible, actor=actor)
    if wanted.cleaned_data["text"]:
        with places():
            search = output_search.search(fitting, wanted.cleaned_data["text"])
        before = search.back_to.pk if search.back_to else None
        return {
            "search": search,
            "search_on": wanted.address(before=before),
            "summary": _counted(len(search.hits), and_more=not search.is_complete),
        }
    found = library.newest(fitting, most=PAGE + 1)
    older = found[PAGE - 1].pk if len(found) > PAGE else None
    return {
        "runs": found[:PAGE],
        "older": wanted.address(before=older) if older else None,
        "summary": _counted(len(found[:PAGE]), and_more=bool(older)),
    }


def _counted(count: int, *, and_more: bool = False) -> str:
    """What a screen reader says when the list has changed."""
    words = f"{count or 'No'} run{'' if count == 1 else 's'} found"
    return f"{words}, and there may be older ones." if and_more else f"{words}."


def _choices(seen: list[str], visible: QuerySet[Run], wanted: RunFilter) -> dict[str, Any]:
    """What can be chosen in the form."""
    recent = visible.values_list("actor", flat=True)[:RECENT]
    return {
        "runbooks": sorted({*seen, *wanted.data.getlist("runbook")}),
        "people": sorted(set(recent)),
        "states": [(value, label, value in wanted.data.getlist("state")) for value, label in State.choices],
    }
