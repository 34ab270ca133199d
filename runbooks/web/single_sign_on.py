"""The way to the OpenID Connect provider, and back from it."""

from collections.abc import Callable
from functools import wraps

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from runbooks.access import identify, oidc
from runbooks.access.oidc_provider import NotSignedIn
from runbooks.web import sign_in

View = Callable[[HttpRequest], HttpResponse]


def _at_the_provider(view: View) -> View:
    """Say on the sign-in page what goes wrong with the provider, where everything is to try again."""

    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        if not oidc.is_configured():
            raise Http404("Single sign-on is not configured on this server.")
        try:
            return view(request)
        except NotSignedIn as problem:
            return sign_in.page(request, trouble=str(problem), then=oidc.destination(request), status=problem.status)

    return never_cache(require_GET(guarded))


@_at_the_provider
def start(request: HttpRequest) -> HttpResponse:
    return redirect(oidc.begin(request, then=identify.next_path(request)))


@_at_the_provider
def callback(request: HttpRequest) -> HttpResponse:
    if oidc.is_over(request):
        return redirect(identify.next_path(request))
    actor, then = oidc.finish(request), oidc.destination(request)
    identify.sign_in(request, actor, lasts=oidc.LONGEST)
    return redirect(then)
