"""Cookies that go the way that their browser came."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


class SecureCookiesMiddleware:
    """Has browsers that come by TLS send our cookies by TLS alone; to others such a cookie would be of no use."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        for cookie in response.cookies.values() if request.is_secure() else ():
            cookie["secure"] = True
        return response
