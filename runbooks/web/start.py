"""Starts a run from a runbook's form."""

from collections.abc import Mapping

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.html import format_html
from django.views.decorators.http import require_POST

from runbooks import library
from runbooks.access.identify import signed_in
from runbooks.document.validate import InvalidValues
from runbooks.execution import control
from runbooks.library import LibraryRunbook
from runbooks.models import Run
from runbooks.web import errors, forms
from runbooks.web.runbook_page import runbook_page
from runbookweb import database


@require_POST
@signed_in
def start(request: HttpRequest, path: str) -> HttpResponse:
    runbook = library.runbook_for(request.actor, path)
    values, files = forms.start_values(request.POST, runbook.runbook), forms.start_files(request.FILES)
    try:
        return redirect(
            control.start_run(request.actor, runbook, values=values, files=files, **_given(request, runbook))
        )
    # All at once, or who has put the values right would be sent back for the reason.
    except InvalidValues as invalid:
        wrong = {**invalid.errors, **_unconfirmed(request, runbook)}
    except control.NotConfirmed:
        wrong = {**control.misfits(runbook, values, files), **_unconfirmed(request, runbook)}
    except (control.Draining, control.NoRoom) as problem:
        return _not_now(request, runbook, values, problem)
    except control.CannotRun as problem:
        wrong = {"": str(problem)}
    except control.KeyReused as problem:
        wrong = {"": _started_already(problem.run)}
    return runbook_page(request, runbook, typed=values, errors=wrong)


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Say that a form has expired; one that was to start a run is shown again, with what was typed into it.

    A sign-in in another tab is enough: the page would have to be loaded anew, and all that was typed would be lost.
    """
    match = request.resolver_match
    if request.actor is None or match is None or match.view_name != "start":
        return errors.csrf_failed(request, reason)
    runbook = library.runbook_for(request.actor, match.kwargs["path"])
    expired = {"": "This form was opened before you signed in. Look at the values once more and press Execute."}
    page = runbook_page(request, runbook, typed=forms.start_values(request.POST, runbook.runbook), errors=expired)
    page.status_code = 403
    return page


def _not_now(
    request: HttpRequest, runbook: LibraryRunbook, values: Mapping[str, str], problem: Exception
) -> HttpResponse:
    """The form as it was sent: browsers do not keep what was typed into it for who goes back."""
    why = f"{problem} What you typed is still here: press Execute again later."
    page = runbook_page(request, runbook, typed=values, errors={"": why})
    page.status_code = 503
    page.headers["Retry-After"] = database.RETRY_AFTER
    return page


def _given(request: HttpRequest, runbook: LibraryRunbook) -> dict[str, object]:
    reason = forms.start_reason(request.POST)
    return {
        "reason": reason,
        "is_confirmed": not forms.reason_problem(runbook.runbook, reason),
        "key": forms.start_key(request.POST),
        "address": request.META.get("REMOTE_ADDR", ""),
    }


def _unconfirmed(request: HttpRequest, runbook: LibraryRunbook) -> Mapping[str, str]:
    problem = forms.reason_problem(runbook.runbook, forms.start_reason(request.POST))
    return {forms.REASON: problem} if problem else {}


def _started_already(run: Run) -> str:
    told = 'This form has started <a href="{}">run #{}</a> already, with other values. Execute starts another run.'
    return format_html(told, run.get_absolute_url(), run.pk)
