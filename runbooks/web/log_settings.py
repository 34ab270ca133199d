"""What a reader has chosen for all logs, told by a cookie of their browser: nothing jumps when the scripts come."""

from django.http import HttpRequest

COOKIE = "runbookweb_log"  # such as relative.nowrap
TIMES = ("absolute", "relative", "none")
FEWEST_DIGITS = 4


def log_settings(request: HttpRequest, *, count: int) -> dict[str, str]:
    """How the lines of a log of so many are shown; without a choice of times, the window's width decides."""
    times, _, wrap = request.COOKIES.get(COOKIE, "").partition(".")
    return {
        "times": times if times in TIMES else "",
        "wrap": "false" if wrap == "nowrap" else "true",
        "digits": str(max(FEWEST_DIGITS, len(str(count)))),
    }
