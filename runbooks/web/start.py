"""Starts a run from a runbook's form."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.html import format_html
from django.views.decorators.http import require_POST

from runbooks import library
from runbooks.access.identify import signed_in
from runbooks.document.validate import InvalidValues
from runbooks.execution import control
from runbooks.models import Run
from runbooks.web import forms
from runbooks.web.errors import unavailable
from runbooks.web.runbook_page import runbook_page


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
        return runbook_page(request, runbook, typed=values, errors=errors)
    except InvalidValues as invalid:
        return runbook_page(request, runbook, typed=values, errors=invalid.errors)
    except (control.Draining, control.NoRoom) as problem:
        return unavailable(request, problem)
    except control.CannotRun as problem:
        return runbook_page(request, runbook, typed=values, errors={"": str(problem)})
    except control.KeyReused as problem:
        return runbook_page(request, runbook, typed=values, errors={"": _started_already(problem.run)})


def _started_already(run: Run) -> str:
    told = 'This form has started <a href="{}">run #{}</a> already, with other values. Execute starts another run.'
    return format_html(told, run.get_absolute_url(), run.pk)
