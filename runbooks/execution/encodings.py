"""The forms in which programs write a text: encoded as base64, percent, JSON, hexadecimal, or quoted for a shell."""

import base64
import json
import re
from collections.abc import Callable, Iterator
from html import escape
from urllib.parse import quote

NEEDS_NONE = re.compile(r"[A-Za-z0-9._-]*", re.ASCII)  # the same in every form but base64 and hexadecimal
# What is left as it is by Python's quote, by JavaScript's encodeURIComponent, in an address's user:password@, by
# JavaScript's encodeURI, and in forms.
LEFT_BY_PERCENT = ("", "/", "!'()*", "!$&'()*+,;=:", "!#$&'()*+,/:;=?@", "*")
PERCENT = re.compile("%[0-9A-F]{2}")
CONTROL, UNPRINTABLE = re.compile(rb"[\x00-\x1f\x7f]+"), re.compile(rb"[^\x20-\x7e]+")
UNICODE = re.compile(r"\\u[0-9a-f]{4}")
HTML_IN_JSON = {ord(character): f"\\u{ord(character):04x}" for character in "<>&'"}
BASE64 = (base64.b64encode, base64.urlsafe_b64encode)
# The command base64 breaks its lines after 76 characters, that of openssl and key files after 64.
BASE64_LINES = (76, 64)
# A prompt or a progress bar may end in a digit or in `%`: what begins like that is held back unless it is as long as
# this, see the supervisor's LONG.
LONG = 32
LARGE = 1024  # of a larger text, each of the rarer forms would cost the supervisor as much memory again


def encodings(text: str) -> Iterator[bytes]:
    """Every form but the plain one; a form may be there twice."""
    raw = text.encode("utf-8", "surrogateescape")
    yield from usual_encodings(text)
    yield from _base64_in_lines(raw)
    if len(raw) > LARGE:
        return
    yield from _base64_encoded_again(raw)
    yield from _byte_by_byte(raw)
    if not NEEDS_NONE.fullmatch(text):
        yield from _percent(raw)
        yield from _unprintable(raw)
        for escaped in (*_json(text), *_quoted(text), *_html(text)):
            yield escaped.encode("utf-8", "surrogateescape")


def usual_encodings(text: str) -> Iterator[bytes]:
    """The forms that a line of a longer text is in, too: base64, percent-encoded, JSON; a key file has many lines."""
    raw = text.encode("utf-8", "surrogateescape")
    for encode in BASE64:
        yield encode(raw).rstrip(b"=")
        yield from _inside_base64(raw, encode)
    if not NEEDS_NONE.fullmatch(text):
        yield from _in_both_cases(quote(raw, safe=""))
        for is_ascii in (True, False):
            yield json.dumps(text, ensure_ascii=is_ascii)[1:-1].encode("utf-8", "surrogateescape")


def _inside_base64(raw: bytes, encode: Callable[[bytes], bytes]) -> list[bytes]:
    """What is sure of it within a longer text, such as user:password, or the text and a line end.

    It begins at any of three places in a group of base64, and what it shares with its neighbours is anything.
    """
    padded = [(before, encode(b"\0" * before + raw)) for before in range(3)]
    return [text[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6] for before, text in padded]


def _base64_in_lines(raw: bytes) -> Iterator[bytes]:
    for encode in BASE64:
        for text in (encode(raw).rstrip(b"="), _inside_base64(raw, encode)[0]):
            for width in BASE64_LINES:
                yield from (text[start : start + width] for start in range(0, len(text), width))


def _base64_encoded_again(raw: bytes) -> Iterator[bytes]:
    for text in _inside_base64(raw, base64.b64encode):
        yield text.replace(b"/", b"\\/")
        yield from _in_both_cases(quote(text, safe=""))


def _byte_by_byte(raw: bytes) -> Iterator[bytes]:
    for form in (raw.hex(), f"%{raw.hex('%')}"):
        if len(form) >= LONG:
            yield form.encode()
            yield form.upper().encode()


def _percent(raw: bytes) -> Iterator[bytes]:
    for left in LEFT_BY_PERCENT:
        once = quote(raw, safe=left)
        for form in (once, once.replace("%20", "+"), once.replace("%20", "+").replace("~", "%7E"), quote(once)):
            yield from _in_both_cases(form)


def _in_both_cases(percent: str) -> Iterator[bytes]:
    yield percent.encode()
    yield PERCENT.sub(lambda found: found[0].lower(), percent).encode()


def _json(text: str) -> Iterator[str]:
    """As JSON, and as JSON in a string of JSON."""
    for is_ascii in (True, False):
        plain = json.dumps(text, ensure_ascii=is_ascii)[1:-1]
        safe = plain.translate(HTML_IN_JSON)
        yield _in_capitals(plain).replace("\\u00", "\\x")  # as YAML does
        for once in {plain, _in_capitals(plain), safe, _in_capitals(safe)}:
            yield once
            yield once.replace("/", "\\/")
            yield json.dumps(once, ensure_ascii=False)[1:-1]


def _in_capitals(text: str) -> str:
    return UNICODE.sub(lambda found: "\\u" + found[0][2:].upper(), text)


def _quoted(text: str) -> Iterator[str]:
    """As shells, Python and others write it in quotes."""
    yield text.replace("'", "'\\''")
    yield text.replace("'", "'\"'\"'")
    yield re.sub(r'(["\\$`])', r"\\\1", text)
    yield re.sub(r"""([ \t'"\\|&;()<>!{}*\[\]?^$`,])""", r"\\\1", text)
    yield repr(text)[1:-1]
    yield ascii(text)[1:-1]
    yield repr(text.encode("utf-8", "surrogateescape"))[2:-1]


def _unprintable(raw: bytes) -> Iterator[bytes]:
    """As C writes what is not ASCII, or no character: in the names of git and ls, in `set -x`, in complaints."""
    quoted = raw.replace(b"'", b"'\\''")
    escaped = raw.replace(b"\\", b"\\\\")
    in_quotes = (escaped, *(escaped.replace(mark, b"\\" + mark) for mark in (b'"', b"'", b" ")))
    for some in (CONTROL, UNPRINTABLE):
        yield some.sub(lambda found: b"'$'" + _octal(found) + b"''", quoted)
        yield from (some.sub(_octal, text) for text in in_quotes)


def _octal(found: re.Match[bytes]) -> bytes:
    return b"".join({9: b"\\t", 10: b"\\n", 13: b"\\r"}.get(byte, b"\\%03o" % byte) for byte in found[0])


def _html(text: str) -> Iterator[str]:
    whole = escape(text)
    yield escape(text, quote=False)
    for quote_mark in ("&#x27;", "&#39;", "&apos;", "'"):
        yield (form := whole.replace("&#x27;", quote_mark))
        yield form.replace("&quot;", "&#34;")
        yield form.replace("\t", "&#9;").replace("\n", "&#10;")
