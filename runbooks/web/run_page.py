"""The page of a run, and what can be done with a run there."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from runbooks import library
from runbooks.access.identify import signed_in
from runbooks.execution import control
from runbooks.models import Run
from runbooks.web import log_fragments, outputs, state_fragments, what_ran
from runbooks.web.log_settings import log_settings
from runbooks.web.note_form import note_context


@require_safe
@signed_in
def run(request: HttpRequest, pk: int) -> HttpResponse:
    return run_page(request, library.run_for(request.actor, pk))


def run_page(request: HttpRequest, run: Run, *, status: int = 200, **note: str) -> HttpResponse:
    """The whole page; of a note that could not be saved, what was typed and what the problem is."""
    context = state_fragments.state_context(request.actor, run) | {"grace": control.GRACE}
    context |= log_fragments.log_context(run, line=request.GET.get("line", ""))
    context["log_settings"] = log_settings(request, count=context["window"].count)
    context |= outputs.outputs_context(run) | what_ran.what_ran_context(run) | note_context(run) | note
    return render(request, "runs/run.html", context, status=status)


@require_safe
@signed_in
@never_cache
def state(request: HttpRequest, pk: int) -> HttpResponse:
    """How the run stands, alone: for pages that have no stream open, such as those of tabs in the background."""
    return _state(request, pk)


@require_POST
@signed_in
def cancellation(request: HttpRequest, pk: int) -> HttpResponse:
    run = library.run_for(request.actor, pk)
    control.cancel_run(request.actor, run)
    if request.htmx:
        return _state(request, pk)
    return redirect(run)


def _state(request: HttpRequest, pk: int) -> HttpResponse:
    run = library.run_for(request.actor, pk)
    return render(request, "runs/_state.html", state_fragments.state_context(request.actor, run))


@require_POST
@signed_in
def pin(request: HttpRequest, pk: int) -> HttpResponse:
    run = library.run_for(request.actor, pk)
    control.pin_run(run, is_pinned=request.POST.get("pinned") != "false")
    if request.htmx:
        return render(request, "runs/_pin.html", {"run": library.run_for(request.actor, pk)})
    return redirect(run)
