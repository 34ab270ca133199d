"""Hits in a run's log: their line numbers for a script, and a page of them for a person without one."""

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from runbooks import library
from runbooks.access.identify import signed_in
from runbooks.models import Run
from runbooks.output.search import Found, Query, search
from runbooks.web.errors import busy
from runbooks.web.excerpt import excerpts
from runbooks.web.log_views import signed_in_script
from runbooks.web.search_places import Busy, one_line, places
from runbookweb.database import RETRY_AFTER

LAST = 10**15  # no log has so many lines


class SearchForm(forms.Form):
    """What is looked for in a log, and from which line on."""

    q = forms.CharField(max_length=500, strip=False, error_messages={"required": "Type what to look for."})
    only = forms.ChoiceField(required=False, choices=[("", "all lines"), ("stderr", "lines of stderr")])
    case = forms.BooleanField(required=False)
    start = forms.IntegerField(required=False, min_value=1, max_value=LAST)
    near = forms.IntegerField(required=False, min_value=1, max_value=LAST)

    def __init__(self, asked: dict[str, str]):
        super().__init__({**asked, "start": asked.get("from")})

    def clean_q(self) -> str:
        return one_line(self.cleaned_data["q"])

    @property
    def said(self) -> str:
        """What is wrong, as a sentence for people."""
        return next(iter(self.errors.values()))[0]

    @property
    def problem(self) -> str:
        """The same for programs, with the name that they know the field by."""
        name = next(iter(self.errors))
        return f"{'from' if name == 'start' else name}: {self.said}"

    @property
    def query(self) -> Query:
        wanted = self.cleaned_data
        return Query(wanted["q"], only_stderr=bool(wanted["only"]), is_exact=wanted["case"])

    def found_in(self, run: Run) -> Found:
        wanted = self.cleaned_data
        with places():
            return search(run.log, self.query, start=wanted["start"] or 1, near=wanted["near"] or 1)

    def address(self, *, start: int) -> str:
        """The same search from another line on."""
        named = {name: self.cleaned_data[name] for name in ("q", "only") if self.cleaned_data[name]}
        return "?" + urlencode(named | ({"case": 1} if self.cleaned_data["case"] else {}) | {"from": start})


@require_safe
def hits(request: HttpRequest, pk: int) -> HttpResponse:
    """The lines that have a text in them."""
    is_page = "text/html" in request.headers.get("Accept", "")
    try:
        return (signed_in(_page) if is_page else signed_in_script(_numbers))(request, pk)
    except Busy as problem:
        return (
            busy(request, problem)
            if is_page
            else JsonResponse(
                {"success": False, "error": str(problem)}, status=503, headers={"Retry-After": RETRY_AFTER}
            )
        )


def _numbers(request: HttpRequest, pk: int) -> HttpResponse:
    run, form = library.run_for(request.actor, pk), SearchForm(request.GET.dict())
    if not form.is_valid():
        return JsonResponse({"success": False, "error": form.problem}, status=400)
    found = form.found_in(run)
    return JsonResponse({name: getattr(found, name) for name in ("count", "is_complete", "lines", "skipped", "until")})


def _page(request: HttpRequest, pk: int) -> HttpResponse:
    run, form = library.run_for(request.actor, pk), SearchForm(request.GET.dict())
    context = {"run": run, "form": form}
    if form.is_valid():
        context |= _shown(form.found_in(run), form)
    return render(request, "runs/search.html", context, status=200 if form.is_valid() else 400)


def _shown(found: Found, form: SearchForm) -> dict[str, Any]:
    """What the page shows of what was found, and where it goes on."""
    hits = excerpts(found, form.query)
    if found.count > len(hits):
        rest = form.address(start=hits[-1].number + 1)
    else:
        rest = "" if found.is_complete else form.address(start=found.until + 1)
    return {"found": found, "hits": hits, "rest": rest}
