"""Who is at the other end of a connection, also when a proxy stands in between."""

import ipaddress
from collections.abc import Callable, Sequence
from typing import Any

from channels.routing import ProtocolTypeRouter
from django.conf import settings

FORWARDED = b"x-forwarded-for"


class ClientRouter(ProtocolTypeRouter):
    """Gives each application the client's own address; a proxy that is not among TRUSTED_PROXIES is a client itself."""

    async def __call__(self, scope: dict[str, Any], receive: Callable, send: Callable) -> Any:
        if scope.get("client") and settings.TRUSTED_PROXIES:
            peer, port = scope["client"]
            forwarded = [value.decode("latin-1") for name, value in scope["headers"] if name == FORWARDED]
            scope = scope | {"client": [client_of(peer, forwarded, trusted=settings.TRUSTED_PROXIES), port]}
        return await super().__call__(scope, receive, send)


def client_of(peer: str, forwarded: Sequence[str], *, trusted: Sequence[str]) -> str:
    """The address of the last hop that no trusted proxy stands at.

    Each proxy adds the one before it at the end of X-Forwarded-For; what stands before the last that nobody vouches
    for, anybody may have written.
    """
    networks = [ipaddress.ip_network(network) for network in trusted]
    client = peer
    for hop in reversed(",".join(forwarded).split(",")):
        if not _is_within(client, networks):
            break
        try:
            client = str(ipaddress.ip_address(hop.strip()))
        except ValueError:
            break
    return client


def _is_within(address: str, networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    try:
        return any(ipaddress.ip_address(address) in network for network in networks)
    except ValueError:  # such as the path of a socket
        return False
