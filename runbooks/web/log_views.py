"""Some lines of a run's log, anywhere in it, for pages that show more of it than their first view."""

from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from runbooks import library
from runbooks.output.stream import TEXT
from runbooks.output.windows import Window, Windows
from runbooks.web.log_fragments import is_number, window_html

View = Callable[..., HttpResponse]
CONTENT_TYPE = TEXT.decode()
WANTED = "Ask for from=LINE, before=LINE, around=LINE or end=1, and only=stderr or nothing, where LINE is a number."


def signed_in_script(view: View) -> View:
    """Refuse who is not signed in: a script would take the sign-in page for what it has asked for."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if request.actor:
            return view(request, *args, **kwargs)
        return HttpResponse("Sign in first.", status=401, content_type=CONTENT_TYPE)

    return never_cache(guarded)


@require_safe
@signed_in_script
def lines(request: HttpRequest, pk: int) -> HttpResponse:
    """Up to 500 lines; the headers say which ones, and how many there are so far."""
    run = library.run_for(request.actor, pk)
    window = _window(Windows(run.log), request)
    if window is None:
        return HttpResponse(WANTED, status=400, content_type=CONTENT_TYPE)
    headers = {"Log-First": window.first, "Log-Last": window.last, "Log-Count": window.count, "Log-End": window.end}
    return HttpResponse(window_html(window), headers=headers)


def _window(windows: Windows, request: HttpRequest) -> Window | None:
    """The lines that are asked for; None if that cannot be understood."""
    asked = request.GET
    ways = {"from": windows.beginning_with, "before": windows.before, "around": windows.around}
    way, only = next((way for way in ways if way in asked), ""), asked.get("only", "")
    if only not in ("", "stderr"):
        return None
    if way and is_number(asked[way]):
        return ways[way](int(asked[way]), only_stderr=bool(only))
    return windows.at_end(only_stderr=bool(only)) if asked.get("end") == "1" and not way else None
