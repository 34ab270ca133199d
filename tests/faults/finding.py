"""Looks for a secret in what somebody can read, however it is encoded there: by decoding, not by encoding as we do."""

import base64
import binascii
import html
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

# What may be seen of one: three bytes that it begins with, and in base64 what it shares with its neighbours.
PIECE = 6
BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{8,}")
HEX = re.compile(rb"[0-9a-fA-F]{12,}")
ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([0-7]{3})|(.))", re.DOTALL)
DEPTH = 2  # JSON in JSON, percent-encoded base64


def exposed(data: bytes, *secrets: str | bytes, depth: int = DEPTH) -> set[bytes]:
    """The pieces of these secrets that somebody can read in it."""
    raw = [secret if isinstance(secret, bytes) else secret.encode() for secret in secrets]
    pieces = {text[start : start + PIECE] for text in raw for start in range(len(text) - PIECE + 1)}
    pieces = {piece for piece in pieces if b"\n" not in piece}
    return {piece for view in views(data, depth) for piece in pieces if piece in view}


def views(data: bytes, depth: int) -> Iterator[bytes]:
    """What it says as it is, and decoded in every way, and that once more."""
    yield data
    if depth:
        for decode in (unquote_to_bytes, unescaped, without_quotes, html_unescaped, base64_decoded, hex_decoded):
            if (decoded := decode(data)) != data:
                yield from views(decoded, depth - 1)


def unescaped(data: bytes) -> bytes:
    """Without the backslashes of JSON, Python, C and shells."""
    return ESCAPE.sub(_character, data)


def _character(found: re.Match[bytes]) -> bytes:
    unicode, hexadecimal, octal, other = found.groups()
    if unicode:
        return chr(int(unicode, 16)).encode("utf-8", "surrogatepass")
    if hexadecimal or octal:
        return bytes([int(hexadecimal, 16) if hexadecimal else int(octal, 8) & 255])
    return {b"n": b"\n", b"t": b"\t"}.get(other, other)


def without_quotes(data: bytes) -> bytes:
    """What a shell reads that has a quote within quotes."""
    return data.replace(b"'\\''", b"'").replace(b"'\"'\"'", b"'").replace(b"+", b" ")


def html_unescaped(data: bytes) -> bytes:
    return html.unescape(data.decode("latin-1")).encode("utf-8", "replace") if b"&" in data else data


def base64_decoded(data: bytes) -> bytes:
    """All that may be base64, from each place in a group of four at which it can begin."""
    decoded = []
    for run in BASE64.findall(data):
        run = run.translate(bytes.maketrans(b"-_", b"+/"))
        for start in range(4):
            text = run[start : len(run) - (len(run) - start) % 4]
            decoded.append(base64.b64decode(text))
    return b"\n".join(decoded)


def hex_decoded(data: bytes) -> bytes:
    runs = [run[start:] for run in HEX.findall(data) for start in (0, 1)]
    return b"\n".join(binascii.unhexlify(run[: len(run) // 2 * 2]) for run in runs)
