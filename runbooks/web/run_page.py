"""The page of a run, and what can be done with a run there."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from runbooks import library
from runbooks.access.identify import signed_in
from runbooks.execution import control
from runbooks.web import log_fragments, state_fragments


@require_safe
@signed_in
def run(request: HttpRequest, pk: int) -> HttpResponse:
    run = library.run_for(request.actor, pk)
    context = state_fragments.state_context(request.actor, run) | log_fragments.log_context(run)
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
