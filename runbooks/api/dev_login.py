"""The development sign-in for programs on this machine: a token for whoever one says to be."""

from datetime import UTC

from django.http import HttpRequest, JsonResponse

from runbooks.access import development, tokens
from runbooks.access.actor import Actor
from runbooks.api import schemas
from runbooks.api.bodies import read_body
from runbooks.api.errors import ApiError, wrong_method


def dev_login(request: HttpRequest) -> JsonResponse:
    if not development.is_allowed(request):
        raise ApiError(404, "The development sign-in is off, or is not for you.")
    if request.method != "POST":
        raise wrong_method(request.method, allowed="POST")
    # No page of another site can ask for a token: it cannot send JSON here.
    asked = read_body(request.headers.get("Content-Type", ""), request.body, schemas.SignIn)
    token, ends = tokens.issue(Actor(asked.subject, {"roles": asked.roles}))
    return JsonResponse(
        {
            "access_token": token,
            "token_type": "bearer",
            "expires_at": ends.astimezone(UTC).isoformat(),
            "subject": asked.subject,
            "roles": list(asked.roles),
        }
    )
