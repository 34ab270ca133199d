"""The id that ties together what one request caused: it is in the answer, and in each line of the log."""

import re
import uuid
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

HEADER = "X-Correlation-Id"
_TOKEN = re.compile(r"[A-Za-z0-9._-]{1,128}")
_current: ContextVar[str] = ContextVar("correlation_id", default="")


def current() -> str:
    """The id of the request that is being answered here; empty where there is none."""
    return _current.get()


def begin(asked: str) -> str:
    """Let what follows in this task or thread belong to the id that was asked for, or to a new one if it is unfit."""
    # Anything else could forge a line of the log, or fill it.
    correlation_id = asked if _TOKEN.fullmatch(asked) else uuid.uuid4().hex
    _current.set(correlation_id)
    return correlation_id


class CorrelationMiddleware:
    """Gives each request its id, and sends it back."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Not taken back at the end: the body of a streamed answer is made later, and belongs to the request, too.
        correlation_id = begin(request.headers.get(HEADER, ""))
        response = self.get_response(request)
        response[HEADER] = correlation_id
        return response
