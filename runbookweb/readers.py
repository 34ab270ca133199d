"""How the text of an environment variable becomes its value; a ValueError completes the sentence "This value …"."""

import contextlib
import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

BASE_DIR = Path(__file__).resolve().parent.parent


def utf8(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        # Django signs with it, or a page shows it: that would fail at each request.
        raise ValueError("is not UTF-8") from None
    return value


def text(value: str) -> str:
    return value


def whole(low: int, high: int) -> Callable[[str], int]:
    """A reader of whole numbers within these bounds."""

    def read(value: str) -> int:
        # Python refuses to read numbers of thousands of digits.
        if not value.isascii() or not value.isdigit() or len(value) > 20 or not low <= int(value) <= high:
            raise ValueError(f"is not a whole number from {low} to {high}")
        return int(value)

    return read


def flag(value: str) -> bool:
    known = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    if value.lower() not in known:
        raise ValueError("is neither true nor false")
    return known[value.lower()]


def words(value: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in value.split(",") if word.strip())


def folder(value: str) -> Path:
    try:
        path = (BASE_DIR / Path(value).expanduser()).resolve()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            path.stat()
    except RuntimeError:
        raise ValueError("names the home of an unknown user, or a link to itself") from None
    except OSError as problem:
        raise ValueError(f"cannot be a folder: {problem.strerror}") from None
    return path


def level(value: str) -> str:
    if value.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        raise ValueError("is not one of DEBUG, INFO, WARNING, ERROR, CRITICAL")
    return value.upper()


def protocol(value: str) -> str:
    if value.lower() not in ("http", "https"):
        raise ValueError("is neither http nor https")
    return value.lower()


def host(value: str) -> str:
    """A name or an address as it stands in a URL, where IPv6 has brackets."""
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(value.removeprefix("[").removesuffix("]"))
        return f"[{address}]" if address.version == 6 else str(address)
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", value):
        raise ValueError("is neither a host name nor an IP address")
    return value.lower()


def networks(value: str) -> tuple[str, ...]:
    """Addresses and networks, each as a network."""
    return tuple(map(_network, words(value)))


def _network(word: str) -> str:
    try:
        return str(ipaddress.ip_network(word, strict=False))
    except ValueError:
        neither = "which is neither an address nor a network such as 10.0.0.0/8"
        raise ValueError(f"has {word[:50]!r} in it, {neither}") from None


def signing_secret(value: str) -> str:
    if value.lstrip().startswith(("-----BEGIN", "ssh-", "ecdsa-")):
        raise ValueError("is a public or private key; set it to random characters")
    if len(value) < 32:
        raise ValueError("has fewer than 32 characters")
    return value


def algorithm(value: str) -> str:
    if value not in ("HS256", "RS256", "ES256"):
        raise ValueError("is not one of HS256, RS256, ES256")
    return value


def keys_url(value: str) -> str:
    """An address that nobody on the way can answer for: whoever does would make tokens for everybody."""
    address = urlsplit(value)
    _ = address.port  # a ValueError if it is no number
    is_safe = address.scheme == "https" or (address.scheme == "http" and is_loopback(address.hostname or ""))
    if not address.hostname or not is_safe or not value.isprintable() or " " in value:
        raise ValueError("is not an https:// address")
    return value


def id_token_algorithm(value: str) -> str:
    if value not in ("RS256", "ES256"):
        raise ValueError("is neither RS256 nor ES256")
    return value


def sign_in_address(value: str) -> str:
    address = urlsplit(value)
    _ = address.port  # a ValueError if it is no number
    is_site = address.scheme in ("http", "https") and address.hostname
    # Two slashes at its start would name a site; our own /auth/login would lead to itself.
    is_path = value.startswith("/") and not value.startswith(("//", "/\\")) and address.path != "/auth/login"
    if not (is_site or is_path) or not value.isprintable() or " " in value:
        raise ValueError("is neither an http(s):// address nor a path other than /auth/login")
    return value


def callback_address(value: str) -> str:
    if not keys_url(value).endswith("/oidc/callback/"):
        raise ValueError("does not end with /oidc/callback/")
    return value


def is_loopback(host: str) -> bool:
    """Whether this address is this machine's own; a name other than localhost is not asked for."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
