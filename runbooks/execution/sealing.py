"""Secret values on their way from the form to the script: encrypted while the run is queued, masked in its log.

The forms in which one is masked are in encodings.py.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote, urlsplit

from cryptography.fernet import Fernet
from django.conf import settings

from runbooks.execution.encodings import encodings, usual_encodings

SHOWN = "***"
SHORTEST_LINE = 4
# Of what is not the secret itself: a JSON file's lines `{` and `}`, in base64 too, are in every other text as well.
SHORTEST_FORM, SHORTEST_FORM_OF_LINE = 4, 6


def seal(values: Mapping[str, str]) -> bytes:
    """The values, encrypted with a key that is derived from SECRET_KEY."""
    return _fernet().encrypt(json.dumps(dict(values)).encode())


def unseal(sealed: bytes) -> dict[str, str]:
    """What seal took; raises cryptography.fernet.InvalidToken when SECRET_KEY has changed since."""
    return json.loads(_fernet().decrypt(bytes(sealed)))


def patterns(secrets: Iterable[str]) -> list[bytes]:
    """Every form in which these values must not reach a log: whole and line by line, plain and encoded."""
    found: set[bytes] = set()
    for secret in secrets:
        for text in {secret, *_spaced(secret), *_passwords(secret)} - {""}:
            found |= {_raw(text), *(form for form in encodings(text) if len(form) >= SHORTEST_FORM)}
        for line in _lines(secret):
            found |= {_raw(line), *(form for form in usual_encodings(line) if len(form) >= SHORTEST_FORM_OF_LINE)}
    # A line is masked on its own: a pattern with a line end in it would never match one.
    return sorted(pattern for pattern in found if pattern.strip() and b"\n" not in pattern)


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _lines(secret: str) -> set[str]:
    """What is printed of it line by line, by `cat` and, without its indentation, by `read`."""
    lines = {text for line in secret.splitlines() for text in (line, *_spaced(line))}
    # Of a list of short ones, such as codes, each is as secret as the whole.
    return {line for line in lines if len(line.strip()) >= SHORTEST_LINE} or {line for line in lines if line.strip()}


def _spaced(text: str) -> Iterator[str]:
    """What is left of it after `$(…)`, and after `echo $PASSWORD` without quotes."""
    yield text.strip()
    yield " ".join(text.split())


def _passwords(secret: str) -> Iterator[str]:
    """The password in an address such as postgres://user:password@host, which programs take out of it and print."""
    try:
        password = urlsplit(secret).password
    except ValueError:
        return
    for text in {password, unquote(password)} if password else ():
        if len(text) >= SHORTEST_LINE:
            yield text


def _fernet() -> Fernet:
    key = hashlib.sha256(b"queued values" + settings.SECRET_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(key))
