"""The pages of runbooks, runs and the configuration; sign-in, errors and the live log have files of their own."""

import re
import uuid
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.html import format_html
from django.views.decorators.http import require_POST, require_safe

from runbooks import library
from runbooks.access import rules
from runbooks.access.actor import Actor
from runbooks.access.identify import signed_in
from runbooks.document.render import render as rendered_markdown
from runbooks.document.validate import InvalidValues
from runbooks.execution import control, environment
from runbooks.library import LibraryRunbook
from runbooks.models import Run, State
from runbooks.web import forms, fragments
from runbooks.web.errors import csrf_failed as csrf_failed  # where the settings look for it
from runbooks.web.errors import unavailable
from runbookweb import configured

PAST_RUNS = 10
PAGE = 50


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


@require_safe
@signed_in
def runbook(request: HttpRequest, path: str) -> HttpResponse:
    return _runbook_page(request, library.runbook_for(request.actor, path))


@require_POST
@signed_in
def start(request: HttpRequest, path: str) -> HttpResponse:
    runbook = library.runbook_for(request.actor, path)
    values = forms.start_values(request.POST)
    given = {"is_confirmed": forms.CONFIRMATION in request.POST, "key": forms.start_key(request.POST)}
    try:
        return redirect(control.start_run(request.actor, runbook, values=values, **given))
    except control.NotConfirmed:
        unconfirmed = {forms.CONFIRMATION: "Tick the box to confirm that you want to run this now."}
        errors = {**control.misfits(runbook, values), **unconfirmed}
        return _runbook_page(request, runbook, typed=values, errors=errors)
    except InvalidValues as invalid:
        return _runbook_page(request, runbook, typed=values, errors=invalid.errors)
    except (control.Draining, control.NoRoom) as problem:
        return unavailable(request, problem)
    except control.CannotRun as problem:
        return _runbook_page(request, runbook, typed=values, errors={"": str(problem)})
    except control.KeyReused as problem:
        return _runbook_page(request, runbook, typed=values, errors={"": _started_already(problem.run)})


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


@require_safe
@signed_in
def run(request: HttpRequest, pk: int) -> HttpResponse:
    run = library.run_for(request.actor, pk)
    context = fragments.state_context(request.actor, run) | fragments.log_context(run)
    context["values"] = sorted(run.values.items())
    return render(request, "runs/run.html", context)


@require_POST
@signed_in
def cancellation(request: HttpRequest, pk: int) -> HttpResponse:
    run = library.run_for(request.actor, pk)
    control.cancel_run(request.actor, run)
    return redirect(run)


@require_POST
@signed_in
def pin(request: HttpRequest, pk: int) -> HttpResponse:
    run = library.run_for(request.actor, pk)
    control.pin_run(run, is_pinned=request.POST.get("pinned") != "false")
    if request.htmx:
        return render(request, "runs/_pin.html", {"run": library.run_for(request.actor, pk)})
    return redirect(run)


@require_safe
@signed_in
def configuration(request: HttpRequest) -> HttpResponse:
    context = {
        "items": configured.items(settings.CONFIGURATION),
        "claims": [(claim, ", ".join(values)) for claim, values in sorted(request.actor.claims.items())],
        "address": request.META.get("REMOTE_ADDR", ""),
    }
    return render(request, "configuration.html", context)


def _runbook_page(
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


def _started_already(run: Run) -> str:
    told = 'This form has started <a href="{}">run #{}</a> already, with other values. Execute starts another run.'
    return format_html(told, run.get_absolute_url(), run.pk)


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


def _matches(runbook: LibraryRunbook, query: str) -> bool:
    text = f"{runbook.path} {runbook.runbook.summary}".casefold()
    return all(word in text for word in query.casefold().split())


def _runbook_choices(actor: Actor, chosen: str) -> list[str]:
    paths = {runbook.path for runbook in library.runbooks() if rules.sees_runs(actor, runbook.runbook)}
    return sorted(paths | ({chosen} - {""}))
