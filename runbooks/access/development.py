"""The development sign-in, for people and programs alike: who may use it, and who one may say to be."""

from collections.abc import Iterable

from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from runbookweb.readers import is_loopback

LONGEST_SUBJECT = 255
MOST_ROLES = 50
LONGEST_ROLE = 100


def is_allowed(request: HttpRequest) -> bool:
    """Whether the development sign-in is on, and whoever asks sits at this machine."""
    # Through a proxy everybody seems to sit at this machine.
    is_direct = not {"X-Forwarded-For", "Forwarded"} & set(request.headers)
    return settings.ENABLE_LOGIN and is_direct and is_loopback(request.META.get("REMOTE_ADDR", ""))


def refuse_control_characters(text: str) -> None:
    if not text.isprintable():
        raise ValidationError("Use letters, digits, spaces and punctuation only: there is a control character in it.")


def roles_of(words: Iterable[str]) -> tuple[str, ...]:
    """The roles that one says to have, each once; raises ValidationError."""
    roles = tuple(dict.fromkeys(word.strip() for word in words if word.strip()))
    if len(roles) > MOST_ROLES:
        raise ValidationError(f"Give at most {MOST_ROLES} roles; these are {len(roles)}.")
    for role in roles:
        refuse_control_characters(role)
        if len(role) > LONGEST_ROLE:
            raise ValidationError(f"A role has at most {LONGEST_ROLE} characters.")
    return roles
