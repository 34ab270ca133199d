"""What programs read when something cannot be done: a status, and a sentence that says what and what to do."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.core.exceptions import BadRequest, DisallowedHost, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, UnreadablePostError
from ninja.errors import ValidationError as BadParameters

from runbooks.access.tokens import BadToken, NoKeys
from runbooks.document.validate import InvalidValues
from runbooks.execution import control
from runbookweb import correlation, database

MOST_BYTES = 1024 * 1024  # of a body
MOST_ERRORS = 20
LONGEST_NAME = 100  # of what a client sent and reads again in a sentence
LONGEST_ERROR = 500
LONGEST_SENTENCE = 2000
TOO_LARGE = f"The body has more than {MOST_BYTES} bytes; send less."
SENTENCES = {
    "missing": "it is missing.",
    "bool_type": "it must be true or false.",
    "dict_type": "it must be an object with a value for each name.",
}
logger = logging.getLogger(__name__)


class ApiError(Exception):
    """An answer that is a failure; `more` stands in its body beside the sentence."""

    def __init__(self, status: int, sentence: str, *, headers: Mapping[str, str] | None = None, **more: Any):
        super().__init__(sentence)
        self.status, self.sentence, self.more = status, sentence, more
        self.headers = dict(headers or {})


def wrong_method(method: str | None, *, allowed: str) -> ApiError:
    """The answer to a method that an address does not have; `allowed` lists those that it has."""
    return ApiError(405, f"This address cannot be asked with {method}; use {allowed}.", headers={"Allow": allowed})


def failure_of(problem: Exception) -> ApiError:
    """What a program is told of this exception; one that nobody expected is logged, and told without its details."""
    if isinstance(problem, ApiError):
        return problem
    if sentence := database.trouble(problem):
        return _no_database(problem, sentence)
    for kind, told in KNOWN:
        if isinstance(problem, kind):
            return told(problem)
    logger.error("A request of the API failed", exc_info=problem)
    return ApiError(
        500,
        "The server could not answer; the fault is ours. "
        f"Its log says more about the request {correlation.current() or 'at this time'}.",
    )


def body_of(error: ApiError) -> dict[str, Any]:
    """The body of a failure."""
    return {"success": False, "error": error.sentence, **error.more}


def unusable(beginning: str, errors: Sequence[str], **more: Any) -> ApiError:
    """The answer to what cannot be used for these reasons; of a great many the first, and of a long one the beginning.

    A body is as full of mistakes as its sender likes.
    """
    shown = [cut(error, most=LONGEST_ERROR) for error in errors[:MOST_ERRORS]]
    rest = f" And {len(errors) - MOST_ERRORS} more." if len(errors) > MOST_ERRORS else ""
    sentence = cut(f"{beginning}: {' '.join(shown)}", most=LONGEST_SENTENCE) + rest
    return ApiError(400, sentence, **{"errors": shown, "warnings": [], **more})


def misfits(problems: Sequence[Mapping[str, Any]], *, of: str) -> ApiError:
    """What pydantic found wrong with a body or an address: where, and a sentence."""
    return unusable(f"{of} cannot be used", [f"{_place(problem)}: {_sentence(problem)}" for problem in problems])


def misfit_values(errors: Mapping[str, str]) -> list[str]:
    """What is wrong with each of the values, as the client reads it."""
    return [f"{cut(name)}: {message}" for name, message in errors.items()]


def cut(text: str, *, most: int = LONGEST_NAME) -> str:
    """A text as it can stand in a sentence, and be sent as UTF-8."""
    shown = text.encode("utf-8", "replace").decode()
    return shown if len(shown) <= most else f"{shown[:most]}…"


def _place(problem: Mapping[str, Any]) -> str:
    return ".".join(cut(str(part)) for part in problem["loc"])


def _sentence(problem: Mapping[str, Any]) -> str:
    message = problem["msg"].rstrip(".")
    return SENTENCES.get(problem["type"], f"{message[0].lower()}{message[1:]}.")


def _misfits_of_query(problem: BadParameters) -> ApiError:
    # Where they are begins with the names of our own functions' arguments.
    return misfits([{**found, "loc": found["loc"][-1:]} for found in problem.errors], of="The address")


def _with(status: int, sentence: str = "", **headers: str) -> Callable[[Exception], ApiError]:
    return lambda problem: ApiError(status, sentence or str(problem), headers=headers)


def _invalid(problem: InvalidValues) -> ApiError:
    return unusable("The values cannot be used", misfit_values(problem.errors))


def _no_database(problem: Exception, sentence: str) -> ApiError:
    logger.error("The database did not take a request of the API", exc_info=problem)
    return ApiError(503, f"{sentence} Ask again in a moment.", headers={"Retry-After": database.RETRY_AFTER})


def _no_room(problem: control.NoRoom) -> ApiError:
    sentence = f"{problem} Nothing was started; ask again in a moment."
    return ApiError(503, sentence, headers={"Retry-After": database.RETRY_AFTER})


def _not_found(problem: Http404) -> ApiError:
    # Django's own resolver puts the list of all patterns into its exception: that is not for clients.
    ours = problem.args[0] if problem.args and isinstance(problem.args[0], str) else ""
    return ApiError(404, ours or "The API has no such address.")


# The first that fits answers: a narrower exception stands before the one that it is a kind of.
KNOWN: tuple[tuple[type[Exception], Callable[[Any], ApiError]], ...] = (
    (NoKeys, _with(503, **{"Retry-After": "10"})),
    (BadToken, _with(401, **{"WWW-Authenticate": "Bearer"})),
    (InvalidValues, _invalid),
    (Http404, _not_found),
    (PermissionDenied, _with(403)),
    (control.NotConfirmed, _with(409, 'The runbook wants to be confirmed: send "confirm": true with the values.')),
    (control.NoRoom, _no_room),
    (control.CannotRun, _with(409)),
    (control.Recursion, _with(409)),
    (control.BadKey, _with(400)),
    (control.KeyReused, _with(422)),
    (control.Draining, _with(503)),
    (RequestDataTooBig, _with(413, TOO_LARGE)),
    (BadParameters, _misfits_of_query),
    (UnreadablePostError, _with(400, "The body broke off; send it again.")),
    (DisallowedHost, _with(400, "This server does not answer under that host name.")),
    (SuspiciousOperation, _with(400, "The request is not in a form that this server accepts.")),
    (BadRequest, _with(400)),
)
