"""The time zone of the viewer, which their browser tells by a cookie: times are shown as on their own clock."""

import re
import zoneinfo
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

COOKIE = "runbookweb_zone"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}")
_LONGEST = 64
MINUS = "\N{MINUS SIGN}"


class ZoneMiddleware:
    """Shows times in the viewer's zone while a request is being answered, and in UTC where none is known."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with timezone.override(zone_of(request.COOKIES.get(COOKIE, ""))):
            return self.get_response(request)


def zone_of(name: str) -> tzinfo:
    """The zone of this name, or UTC: whoever writes a cookie may write anything into it."""
    if len(name) > _LONGEST or not _NAME.fullmatch(name):
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, not the file of a zone, or a folder
        return UTC


def offset_words(when: datetime) -> str:
    """How far its clock is from UTC, such as UTC+5:30: unlike names such as IST, that means the same everywhere."""
    minutes = round((when.utcoffset() or timedelta()).total_seconds() / 60)
    if not minutes:
        return "UTC"
    hours, rest = divmod(abs(minutes), 60)
    sign = "+" if minutes > 0 else MINUS
    return f"UTC{sign}{hours}:{rest:02}" if rest else f"UTC{sign}{hours}"
