"""What people see when something cannot be answered: what happened, and what to do."""

import sys

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string

from runbookweb import correlation, database


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(
        request,
        status=400,
        title="This request cannot be read",
        happened="The address or what was sent with it is not in a form that this server accepts.",
        advice="Go back, reload the page and try again.",
    )


def permission_denied(request: HttpRequest, exception: PermissionDenied) -> HttpResponse:
    return _page(
        request,
        status=403,
        title="You may not do this",
        happened=str(exception) or "Your claims do not allow it.",
        advice="Ask somebody who has the role, or sign in as somebody who has it.",
    )


def not_found(request: HttpRequest, exception: Http404) -> HttpResponse:
    # Django's own resolver puts the list of all patterns into its exception: that is not for people.
    ours = exception.args[0] if exception.args and isinstance(exception.args[0], str) else ""
    return _page(
        request,
        status=404,
        title="There is nothing here",
        happened=ours or "No page has this address.",
        advice="It may have been moved or removed, or you may not see it. Look for it in the list of runbooks.",
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """The page for what no view has expected, in a middleware or in a view, while that is being handled."""
    if sentence := database.trouble(sys.exception()):
        return _not_now(None, sentence, "Runs go on regardless of this. Go back and try again in a moment.")
    return _page(
        None,
        status=500,
        title="Something went wrong here",
        happened="The server could not answer. The fault is ours; the details are in the server's log.",
        advice="Runs go on regardless of this. Try again, and tell whoever looks after this server if it stays: "
        f"in the server's log, this request is {correlation.current()}.",
    )


def unavailable(request: HttpRequest, exception: Exception) -> HttpResponse:
    advice = "Nothing was started. Go back and try again in a moment; your values are still there."
    return _not_now(request, str(exception), advice)


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    return _page(
        request,
        status=403,
        title="This form has expired",
        happened="Nothing was done. The form was opened before you signed in or out, or cookies are blocked.",
        advice="Go back, reload the page and send the form again.",
    )


def _not_now(request: HttpRequest | None, happened: str, advice: str) -> HttpResponse:
    page = _page(request, status=503, title="Not at this moment", happened=happened, advice=advice)
    page.headers["Retry-After"] = database.RETRY_AFTER
    return page


def _page(request: HttpRequest | None, *, status: int, **words: str) -> HttpResponse:
    # Without a request no context processor runs, which might fail for the very reason that led here.
    context = {"status": status, "ui_header": settings.UI_HEADER, **words}
    return HttpResponse(render_to_string("error.html", context, request), status=status)
