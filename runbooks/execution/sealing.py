"""Secret values on their way from the form to the script: encrypted while the run is queued, masked in its log."""

import base64
import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from urllib.parse import quote, quote_plus

from cryptography.fernet import Fernet
from django.conf import settings

SHOWN = "***"
PERCENT = re.compile("%[0-9A-F]{2}")
BASE64_LINE = 76
# Of what is not the secret itself: a JSON file's lines `{` and `}`, in base64 too, are in every other text as well.
SHORTEST_LINE, SHORTEST_FORM = 4, 6


def seal(values: Mapping[str, str]) -> bytes:
    """The values, encrypted with a key that is derived from SECRET_KEY."""
    return _fernet().encrypt(json.dumps(dict(values)).encode())


def unseal(sealed: bytes) -> dict[str, str]:
    """What seal took; raises cryptography.fernet.InvalidToken when SECRET_KEY has changed since."""
    return json.loads(_fernet().decrypt(bytes(sealed)))


def patterns(secrets: Iterable[str]) -> list[bytes]:
    """Every form in which these values must not reach a log: plain, line by line, base64, percent and JSON escaped."""
    found: set[bytes] = set()
    for secret in secrets:
        lines = [line for line in secret.splitlines() if len(line.strip()) >= SHORTEST_LINE]
        for text in {secret, *lines}:
            found.update(form for form in _forms(text) if len(form) >= SHORTEST_FORM)
        found.update(text.encode("utf-8", "surrogateescape") for text in (secret, *lines) if text.strip())
    # A line is masked on its own: a pattern with a line end in it would never match one.
    return sorted(pattern for pattern in found if b"\n" not in pattern)


def _forms(text: str) -> Iterator[bytes]:
    raw = text.encode("utf-8", "surrogateescape")
    yield raw
    for escaped in (
        json.dumps(text)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
        shlex.quote(text),
        escape(text),
    ):
        yield escaped.encode("utf-8", "surrogateescape")
    for percent in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
        yield percent.encode()
        yield PERCENT.sub(lambda escape: escape[0].lower(), percent).encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded = encode(raw).rstrip(b"=")
        yield encoded
        # The command base64 breaks its lines.
        lines = (encoded[start : start + BASE64_LINE] for start in range(0, len(encoded), BASE64_LINE))
        yield from lines
        # Within a longer text (user:password), the value begins at any of three places in a group of base64.
        for before in range(3):
            encoded = encode(b"\0" * before + raw)
            yield encoded[-(-before * 8 // 6) : len(encoded) - (4 if (before + len(raw)) % 3 else 0)]


def _fernet() -> Fernet:
    key = hashlib.sha256(b"queued values" + settings.SECRET_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(key))
