"""The gate of the API: what programs ask is answered with JSON, whatever goes wrong, and without cookies."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.urls import resolve

from runbooks.api.errors import ApiError, body_of, failure_of, wrong_method
from runbookweb.programs import is_for_programs


class ApiMiddleware:
    """Takes the addresses of programs out of what pages need: sessions, forms' tokens, redirects, error pages."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return response_to(request) if is_for_programs(request.path_info) else self.get_response(request)


def response_to(request: HttpRequest) -> HttpResponse:
    """The answer of the address, or why there is none; a HEAD is asked as a GET, and the server sends no body."""
    asked = request.method
    request.method = "GET" if asked == "HEAD" else asked
    try:
        response = _response_of_view(request)
    except Exception as problem:
        response = failed(failure_of(problem))
    request.method = asked
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Length"] = str(len(response.content))
    return response


def failed(error: ApiError) -> HttpResponse:
    return JsonResponse(body_of(error), status=error.status, headers=error.headers)


def _response_of_view(request: HttpRequest) -> HttpResponse:
    request.get_host()  # raises DisallowedHost
    request.resolver_match = view, arguments, options = resolve(request.path_info)
    response = view(request, *arguments, **options)
    if isinstance(response, HttpResponseNotAllowed):
        raise wrong_method(request.method, allowed=_allowed(response))
    return response


def _allowed(response: HttpResponse) -> str:
    methods = {method.strip() for method in response.headers["Allow"].split(",")}
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
