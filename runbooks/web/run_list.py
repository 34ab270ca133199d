"""The list of runs, with its filter."""

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from runbooks import library
from runbooks.access import rules
from runbooks.access.actor import Actor
from runbooks.access.identify import signed_in
from runbooks.models import State
from runbooks.web import forms

PAGE = 50


@require_safe
@signed_in
def runs(request: HttpRequest) -> HttpResponse:
    form = forms.RunFilter(request.GET)
    if not form.is_valid():
        raise BadRequest("The filter cannot be read.")
    wanted = form.cleaned_data
    found = library.without_bulk(library.visible_runs(request.actor))
    for field, lookup in (("runbook", "runbook"), ("state", "state"), ("before", "pk__lt")):
        if wanted[field]:
            found = found.filter(**{lookup: wanted[field]})
    page = list(found[: PAGE + 1])
    context = {
        "runs": page[:PAGE],
        "older": page[PAGE - 1].pk if len(page) > PAGE else None,
        "wanted": wanted,
        "runbooks": _runbook_choices(request.actor, wanted["runbook"]),
        "states": State.choices,
    }
    return render(request, "runs/list.html", context)


def _runbook_choices(actor: Actor, chosen: str) -> list[str]:
    paths = {runbook.path for runbook in library.runbooks() if rules.sees_runs(actor, runbook.runbook)}
    return sorted(paths | ({chosen} - {""}))
