"""The development sign-in for programs on this machine: a token for whoever one says to be."""

import json
from datetime import UTC

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from runbooks.access import tokens
from runbooks.access.actor import Actor
from runbooks.web.forms import SignIn
from runbooks.web.sign_in import is_allowed

MOST_BYTES = 1024 * 1024


class BadBody(Exception):
    """What was sent cannot be used; the arguments are the answer's status and a sentence for the client."""


@csrf_exempt  # It neither reads nor sets a cookie; other sites' pages cannot send this type of content.
@never_cache
def dev_login(request: HttpRequest) -> JsonResponse:
    if not is_allowed(request):
        return _error(404, "The development sign-in is off, or is not for you.")
    if request.method != "POST":
        return _error(405, "Use POST.", Allow="POST")
    try:
        form = _filled(_body(request))
    except BadBody as problem:
        return _error(*problem.args)
    return _signed_in(form.cleaned_data["subject"], form.cleaned_data["roles"])


def _body(request: HttpRequest) -> dict[str, object]:
    if request.content_type != "application/json":
        raise BadBody(415, "Send application/json.")
    try:
        if len(request.body) > MOST_BYTES:
            raise RequestDataTooBig
        body = json.loads(request.body)
    except RequestDataTooBig:
        raise BadBody(413, f"The body has more than {MOST_BYTES} bytes.") from None
    except (ValueError, RecursionError):
        raise BadBody(400, "The body is not JSON.") from None
    if not isinstance(body, dict):
        raise BadBody(400, "The body must be an object with subject and roles.")
    return body


def _filled(body: dict[str, object]) -> SignIn:
    subject, roles = body.get("subject"), body.get("roles")
    if not isinstance(subject, str):
        raise BadBody(400, "subject: it must be a string.")
    form = SignIn({"subject": subject, "roles": _listed(roles)})
    if not form.is_valid():
        field, problems = next(iter(form.errors.items()))
        raise BadBody(400, f"{field}: {problems[0]}")
    return form


def _listed(roles: object) -> str:
    """The roles as the form wants them; programs send a list."""
    if roles is None or isinstance(roles, str):
        return roles or ""
    if not isinstance(roles, list) or not all(isinstance(role, str) and "," not in role for role in roles):
        raise BadBody(400, "roles: it must be a list of strings without commas.")
    return ",".join(roles)


def _signed_in(subject: str, roles: tuple[str, ...]) -> JsonResponse:
    token, ends = tokens.issue(Actor(subject, {"roles": roles}))
    return JsonResponse(
        {
            "access_token": token,
            "token_type": "bearer",
            "expires_at": ends.astimezone(UTC).isoformat(),
            "subject": subject,
            "roles": list(roles),
        }
    )


def _error(status: int, sentence: str, **headers: str) -> JsonResponse:
    return JsonResponse({"success": False, "error": sentence}, status=status, headers=headers)
