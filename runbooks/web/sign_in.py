"""The development sign-in, for one person on the machine that the server runs on."""

import ipaddress

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from runbooks.access import identify
from runbooks.web.forms import SignIn

QUICK_ROLES = ("sre", "admin", "api")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def login(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return _page(request, SignIn())
    if not is_allowed(request):
        raise Http404("No sign-in is configured on this server.")
    form = SignIn(request.POST)
    if not form.is_valid():
        return _page(request, form, status=422)
    identify.sign_in(request, form.cleaned_data["subject"], form.cleaned_data["roles"])
    return redirect(identify.next_path(request))


@require_POST
def logout(request: HttpRequest) -> HttpResponse:
    identify.sign_out(request)
    return redirect("login")


def is_allowed(request: HttpRequest) -> bool:
    """Whether the development sign-in is on, and whoever asks sits at this machine."""
    # Through a proxy everybody seems to sit at this machine.
    is_direct = not {"X-Forwarded-For", "Forwarded"} & set(request.headers)
    return settings.ENABLE_LOGIN and is_direct and is_loopback(request.META.get("REMOTE_ADDR", ""))


def is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _page(request: HttpRequest, form: SignIn, *, status: int = 200) -> HttpResponse:
    context = {
        "form": form,
        "is_allowed": is_allowed(request),
        "next": identify.next_path(request),
        "quick_roles": QUICK_ROLES,
    }
    return render(request, "login.html", context, status=status)
