"""The sign-in page: an account, single sign-on, or the development sign-in for whoever sits at this machine."""

from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from runbooks.access import accounts, development, identify, oidc
from runbooks.access.actor import Actor
from runbooks.web.forms import SignIn

QUICK_ROLES = ("sre", "admin", "api")


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def login(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return page(request)
    return _with_account(request) if "username" in request.POST else _as_developer(request)


@require_POST
def logout(request: HttpRequest) -> HttpResponse:
    identify.sign_out(request)
    return redirect("login")


@never_cache
@require_safe
def elsewhere(request: HttpRequest) -> HttpResponse:
    """Go to where people sign in: the address that is configured, single sign-on, or our own page."""
    place = settings.CONFIGURATION.IDP_LOGIN_URI
    if place and not place.startswith("/"):
        return redirect(place)
    place = place or reverse("single-sign-on" if oidc.is_configured() else "login")
    return redirect(_with_next(place, identify.next_path(request)))


def locked_out(request: HttpRequest, response: HttpResponse, credentials: dict[str, object]) -> HttpResponse:
    """What a guesser at passwords is told, here and at /admin/login/."""
    pause = settings.AXES_COOLOFF_TIME.seconds
    trouble = f"Too many wrong passwords for this name from your address. Wait {pause // 60} minutes, then try again."
    answer = page(request, trouble=trouble, status=429)
    answer.headers["Retry-After"] = str(pause)
    return answer


def page(
    request: HttpRequest,
    *,
    account: AuthenticationForm | None = None,
    developer: SignIn | None = None,
    trouble: str = "",
    then: str = "",
    status: int = 200,
) -> HttpResponse:
    """The sign-in page with all that is offered, what went wrong just now, and where to go then."""
    then = then or identify.next_path(request)
    context = {
        "account": account or (AuthenticationForm(request) if accounts.are_there_any() else None),
        "developer": developer or (SignIn() if development.is_allowed(request) else None),
        "single_sign_on": _with_next(reverse("single-sign-on"), then) if oidc.is_configured() else "",
        "next": then,
        "quick_roles": QUICK_ROLES,
        "trouble": trouble,
    }
    return render(request, "login.html", context, status=status)


def _with_account(request: HttpRequest) -> HttpResponse:
    form = AuthenticationForm(request, request.POST)
    if not form.is_valid():
        return page(request, account=form, status=422)
    identify.sign_in_account(request, form.get_user())
    return redirect(identify.next_path(request))


def _as_developer(request: HttpRequest) -> HttpResponse:
    if not development.is_allowed(request):
        raise Http404("No sign-in is configured on this server.")
    form = SignIn(request.POST)
    if not form.is_valid():
        return page(request, developer=form, status=422)
    identify.sign_in(request, Actor(form.cleaned_data["subject"], {"roles": form.cleaned_data["roles"]}))
    return redirect(identify.next_path(request))


def _with_next(place: str, then: str) -> str:
    """The same place of ours, told where to go after it."""
    return f"{place}{'&' if '?' in place else '?'}{urlencode({'next': then}, safe='/')}"
