"""Django accounts: who a session is signed in as with one, and what guesses at their passwords are counted by."""

import ipaddress
from collections.abc import Mapping

from django.contrib.auth import SESSION_KEY, get_user, get_user_model
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.contrib.auth.models import AbstractUser
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest

from runbooks.access.actor import Actor

ADMIN = "admin"  # the role that every superuser has
LONGEST_NAME = 150


def is_signed_in(session: SessionBase | Mapping) -> bool:
    """Whether an account was signed in with this session, whatever has become of it since."""
    return SESSION_KEY in session


def actor_of_session(session: SessionBase) -> Actor | None:
    """The account of this session as it is now; None when it was made inactive or its password was changed."""
    request = HttpRequest()
    request.session = session
    account = get_user(request)
    return actor_of(account) if account.is_authenticated else None


def actor_of(account: AbstractUser) -> Actor:
    """The account as an actor: its groups are its roles, and a superuser has the role admin as well."""
    groups = account.groups.order_by("name").values_list("name", flat=True)
    roles = [group for group in groups if group.isprintable()]
    if account.is_superuser and ADMIN not in roles:
        roles.append(ADMIN)
    return Actor(account.get_username(), {"roles": tuple(roles)} if roles else {})


def are_there_any() -> bool:
    """Whether anybody could sign in with an account and a password."""
    locked = {"password__startswith": UNUSABLE_PASSWORD_PREFIX}
    return get_user_model().objects.filter(is_active=True).exclude(**locked).exists()


def guessed(request: HttpRequest, credentials: Mapping[str, object] | None) -> str:
    """The name that a guess is counted for; no account has a longer one, and a column has no place for it."""
    return str((credentials or {}).get("username") or "")[:LONGEST_NAME]


def guesser(request: HttpRequest) -> str | None:
    """The address that guesses at passwords are counted for, as the connection has it: headers can be made up."""
    address = request.META.get("REMOTE_ADDR", "")
    try:
        is_long = ipaddress.ip_address(address).version == 6
    except ValueError:
        return None
    # Whoever has one address of IPv6 has the whole network around it, and with it as many guesses as there are.
    return str(ipaddress.ip_network(f"{address}/64", strict=False).network_address) if is_long else address
