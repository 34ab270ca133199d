"""What people see when something cannot be answered: what happened, and what to do."""

import sys
from collections.abc import Callable
from pathlib import PurePosixPath

from django.conf import settings
from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.loader import render_to_string

from runbooks.access import accounts, development
from runbookweb import correlation, database

TOO_MUCH = (RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent)
LONGEST_QUERY = 100


class WordsMiddleware:
    """Gives words to the one answer that Django leaves empty: the address is there, but not for what was tried."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not isinstance(response, HttpResponseNotAllowed) or response.content:
            return response
        page = wrong_method(request)
        page.headers["Allow"] = response.headers["Allow"]
        return page


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, TOO_MUCH):
        return too_large(request)
    return _page(
        request,
        status=400,
        title="This request cannot be read",
        happened="The address or what was sent with it is not in a form that this server accepts.",
        means="Nothing was done.",
        advice="Go back, reload the page and try again.",
    )


def too_large(request: HttpRequest) -> HttpResponse:
    return _page(
        request,
        status=413,
        title="That is more than this server takes",
        happened="What the form sent is too large, or has too many fields.",
        means="Nothing was done, and nothing was started.",
        advice="Go back and send less: shorter values, or smaller files.",
    )


def wrong_method(request: HttpRequest) -> HttpResponse:
    return _page(
        request,
        status=405,
        title="This address only does something",
        happened=f"There is nothing to see here: it takes what a form or a button sends, and no {request.method}.",
        means="Nothing was done. This happens when such an address is reloaded, bookmarked or opened by hand.",
        advice="Go back to the page with the button, and press it there.",
    )


def permission_denied(request: HttpRequest, exception: PermissionDenied) -> HttpResponse:
    return _page(
        request,
        status=403,
        title="You may not do this",
        happened=str(exception) or "Your claims do not allow it.",
        means="Nothing was started. You may still read the runbook.",
        advice=_who_gives(request),
    )


def not_found(request: HttpRequest, exception: Http404) -> HttpResponse:
    # Django's own resolver puts the list of all patterns into its exception: that is not for people.
    ours = exception.args[0] if exception.args and isinstance(exception.args[0], str) else ""
    words = {"happened": ours or "No page has this address.", **_where_else(request.path_info, ours)}
    return _page(request, status=404, title="There is nothing here", **words)


def server_error(request: HttpRequest) -> HttpResponse:
    """The page for what no view has expected, in a middleware or in a view, while that is being handled."""
    if sentence := database.trouble(sys.exception()):
        return _not_now(None, sentence, means="Runs go on regardless of this.")
    return _page(
        None,
        status=500,
        title="Something went wrong here",
        happened="The server could not answer. The fault is ours; the details are in the server's log.",
        means="Runs go on regardless of this.",
        advice="Try again, and if it stays, tell whoever looks after this server. They find it in the log by this:",
        reference=correlation.current(),
    )


def busy(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _not_now(request, str(exception), means="Each search takes a processor for a while; runs go on regardless.")


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    return _page(
        request,
        status=403,
        title="This form has expired",
        happened="The form was opened before you signed in or out, or cookies are blocked.",
        means="Nothing was done.",
        advice="Go back, reload the page and send the form again.",
    )


def _not_now(request: HttpRequest | None, happened: str, *, means: str) -> HttpResponse:
    advice = "Go back and try again in a moment."
    page = _page(request, status=503, title="Not at this moment", happened=happened, means=means, advice=advice)
    page.headers["Retry-After"] = database.RETRY_AFTER
    return page


def _who_gives(request: HttpRequest) -> str:
    """Who can give the claim that is missing: that depends on the way that one has signed in."""
    if accounts.is_signed_in(getattr(request, "session", {})):
        return "Ask this server's staff to add your account to a group of that name at /admin/; it holds at once."
    if development.is_allowed(request):
        return "With the development sign-in you choose your roles yourself: sign out, and in again with it."
    return (
        "Your claims come with your sign-in. Ask whoever looks after accounts at your identity provider for the one "
        "it needs; then sign out, and in again."
    )


def _where_else(path: str, happened: str) -> dict[str, str]:
    """What it means that there is nothing at this address, and where to look: `area` is what the page offers."""
    area, _, rest = path.strip("/").partition("/")
    # A runbook's form may be asked for with the values of a run, and that may be what is missing.
    if area == "runs" or happened.startswith("There is no run #"):
        return {
            "area": "runs",
            "means": "Its number may be mistyped, or it is so old that it has been removed.",
            "advice": "Look for it among all runs, or go back to where you came from.",
        }
    if area == "runbooks" and rest:
        return {
            "area": "runbooks",
            "means": "It may have been moved, renamed or removed.",
            "advice": "Look for it among the runbooks, or go back to where you came from.",
            "query": _name_in(path),
        }
    return {"means": "The address may be mistyped or out of date.", "advice": "Go back to where you came from."}


def _name_in(path: str) -> str:
    """What somebody seems to have looked for at this address."""
    return PurePosixPath(path).name.removesuffix(".md").replace("-", " ")[:LONGEST_QUERY]


def _page(request: HttpRequest | None, *, status: int, **words: str) -> HttpResponse:
    # Without a request no context processor runs, which might fail for the very reason that led here.
    context = {"status": status, "ui_header": settings.UI_HEADER, **words}
    return HttpResponse(render_to_string("error.html", context, request), status=status)
