"""No part of a secret reaches the log, however a script cuts it, encodes it or floods the log around it."""

import base64
import html
import json
import random
import re
import shlex
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbooks.execution.sealing import patterns
from runbooks.execution.supervisor.mask import WORD, Mask, Sieve
from tests.execution.supervising import Supervised

from .finding import exposed

SECRET = "Vw9!\"q\\Zk é7&x/ T'r+2%p<L>m"
KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ+/EFAASCBKcw\nkqhkiG9w0BAQEF1234\n-----END KEY-----\n"
RAW = SECRET.encode()
FORMS = {
    "plain": RAW,
    "base64": base64.b64encode(RAW),
    "urlsafe base64": base64.urlsafe_b64encode(RAW),
    "percent": quote(SECRET, safe="").encode(),
    "lower percent": re.sub(b"%..", lambda found: found[0].lower(), quote(SECRET, safe="").encode()),
    "form": quote_plus(SECRET).encode(),
    "JSON": json.dumps(SECRET)[1:-1].encode(),
    "JSON in UTF-8": json.dumps(SECRET, ensure_ascii=False)[1:-1].encode(),
    "shell": shlex.quote(SECRET)[1:-1].encode(),
    "HTML": html.escape(SECRET).encode(),
    "hexadecimal": RAW.hex().encode(),
}
# Below and above the 50 ms that the beginning of a line waits. Five pauses and two streams: each form has all pairs.
PAUSES = (0.0, 0.02, 0.06, 0.1, 0.2)
SPLITS = """
import os, time
for cut in range(1, len({form!r})):
    stream = 1 + cut % 2
    os.write(stream, b"> " + {form!r}[:cut])
    time.sleep({pauses!r}[cut % {count}])
    os.write(stream, {form!r}[cut:] + b" <\\n")
"""


def split(supervise, form: bytes, *secrets: str, pauses: tuple[float, ...] = PAUSES) -> Supervised:
    """A script that prints this form as often as it has places to split it, on both streams in turns."""
    script = SPLITS.format(form=form, pauses=pauses, count=len(pauses))
    return supervise(script, language="python", secrets=patterns(secrets))


def lines(supervised: Supervised) -> set[bytes]:
    supervised.ended()
    return {line for stream in ("stdout", "stderr") for line in supervised.printed(stream).splitlines()}


def hints(form: bytes) -> set[bytes]:
    """What the log may show of a masked form: up to three bytes of a long one."""
    return {form[:size] + b"***" for size in range(4 if len(form) >= 32 else 1)}


def test_a_secret_split_at_any_byte_is_masked_in_every_form(supervise):
    started = {form: split(supervise, form, SECRET) for form in FORMS.values()}
    for form, supervised in started.items():
        # Of base64, the sign that says where it ends is not the secret's.
        assert {line.strip(b"> =<") for line in lines(supervised)} <= hints(form)
        assert not exposed((supervised.folder / "log").read_bytes(), SECRET)


def test_a_key_file_split_at_any_byte_is_masked_line_by_line(supervise):
    supervised = split(supervise, KEY.encode(), KEY, pauses=(0.0, 0.06, 0.02))
    expected = {hint for line in KEY.encode().splitlines() for hint in hints(line)}
    assert {line.strip(b"> <") for line in lines(supervised)} <= {b"", *expected}


def test_base64_in_lines_split_at_any_byte_is_masked(supervise):
    """As the commands base64 and openssl break them, with something after the secret."""
    secret = "".join(random.Random(4).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=100))
    whole = base64.b64encode(f"{secret}~".encode())
    broken = [b"\n".join(whole[at : at + width] for at in range(0, len(whole), width)) for width in (64, 76)]
    for supervised in [split(supervise, form, secret, pauses=(0.0, 0.06, 0.0)) for form in broken]:
        assert not exposed(b"\n".join(lines(supervised)), secret)


def test_base64_of_a_longer_text_shows_nothing_of_the_secret_in_it(supervise):
    """At each place in a group of base64 at which it can begin; this one is different in the two alphabets."""
    secret = "o~?pen>~se?~same~?>"
    texts = [f"{'x' * before}{secret}{'~' * after}".encode() for before in range(3) for after in range(4)]
    forms = [encode(text) for text in texts for encode in (base64.b64encode, base64.urlsafe_b64encode)]
    assert b"/" in forms[0]
    supervised = supervise(f"cat <<END\n{b' '.join(forms).decode()}\nEND", secrets=patterns([secret]))
    supervised.ended()
    assert supervised.printed().count(b"***") == len(forms)
    assert not exposed(supervised.printed(), secret)


def test_a_secret_that_another_begins_with_waits_for_the_rest(supervise):
    secrets = ("opensesame", "opensesame-and-more")
    whole, other = [split(supervise, form, *secrets) for form in (b"opensesame-and-more", b"opensesame-and-less")]
    assert lines(whole) == {b"> *** <"}
    assert lines(other) == {b"> ***-and-less <"}


@pytest.mark.parametrize("before", range(95, 112))
def test_a_secret_across_the_output_limit_is_masked(supervise, before):
    """The limit is 110 bytes: it falls before, into and after the secret, at the beginning and at the end."""
    printed = b"x" * before + b"opensesame\n" + b"y" * (before + 30) + b"opensesame" + b"z" * 90
    supervised = supervise(f"printf %s {shlex.quote(printed.decode())}", limit=110, secrets=patterns(["opensesame"]))
    supervised.ended()
    assert not exposed((supervised.folder / "log").read_bytes(), "opensesame")


@pytest.mark.parametrize("size", [65536, 131072])
def test_a_secret_across_what_one_read_takes_is_masked(supervise, size):
    """Also across the longest line; at each offset, and whether the line ends or not."""
    script = """
import os, time
for before in range({size} - 12, {size} + 3):
    os.write(1, b"x" * before + b"opensesame" + b"\\n" * (before % 2))
    time.sleep(0.06)
"""
    supervised = supervise(script.format(size=size), language="python", secrets=patterns(["opensesame"]))
    supervised.ended()
    assert supervised.printed().replace(b"x", b"").replace(b"\n", b"") == b"***" * 15


# What ordinary programs make of a value that is told to them, or that they complain of.
TOOLS = r"""
exec 2>&1
echo $V; echo "$V"; printf %s "$V"; env; export -p; set
sh -xc ': "$V"'; bash -xc ': "$V"'; LC_ALL=C bash -xc ': "$V"'
bash -c 'declare -p V; set; printf "%q\n" "$V"; echo "${V@Q}"'
printf %s "$V" | base64; echo "$V" | base64 -w0; printf "user:%s" "$V" | base64 -w0; printf "us:%s:" "$V" | base64 -w0
cat -- "$V"; ls -b -- "$V"; ls -Q -- "$V"; LC_ALL=C ls -- "$V"; sleep -- "$V"; sh -- "$V"; cd -- "$V"; git -- "$V"
mkdir there; cd there; touch -- "./$(printf %s "$V" | head -c 200)"; ls; ls -b; ls -Q; LC_ALL=C ls -b; find .
curl -sS "http://127.0.0.1:1/?a=$V"; curl -vsSG --data-urlencode "a=$V" http://127.0.0.1:1/
cat > ../tell.py <<'END'
import html, json, os, shlex, urllib.parse as url
v = os.environ["V"]
print(os.environ, [v], [v.encode()], ascii(v), json.dumps(v), json.dumps(json.dumps([v])), {v: 1}, shlex.quote(v))
print(html.escape(v), url.quote(v), url.quote(v, safe=""), url.quote_plus(v), url.quote(url.quote(v)), sep="\n")
raise KeyError(v)
END
python3 ../tell.py
"""
# No slash, for it is a file's name, too.
VALUES = (
    SECRET.replace("/", "\t"),
    " two  spaces, and a 'tab'\there ",
    "quotes \"'\\ and $HOME `id` ~!*",
    "Passw0rd of twelve",
    KEY.replace("/", "+"),
)


def test_what_ordinary_programs_make_of_a_secret_is_masked(supervise):
    started = {value: supervise(TOOLS, environment={"V": value}, secrets=patterns([value])) for value in VALUES}
    for value, supervised in started.items():
        supervised.ended()
        assert supervised.printed().count(b"***") > 20
        assert not exposed(supervised.printed(), value)


def test_the_password_in_an_address_is_masked_alone_too(supervise):
    supervised = supervise("echo r00t%21pw; echo 'r00t!pw'", secrets=patterns(["pg://app:r00t%21pw@db:5432/x"]))
    assert lines(supervised) == {b"***"}


def test_secrets_in_a_flood_are_masked_and_nothing_else_is_lost(supervise, tmp_path):
    """Past the first 64 KiB it no longer looks for each secret, but for signs of them."""
    source, secrets = random.Random(7), [SECRET, KEY, *(f"{number}-pass-{number * 7919}" for number in range(20))]
    told = [form for secret in secrets for form in patterns([secret])]
    flood = [[*(b"%x" % source.getrandbits(64),) * 3, source.choice(told), b"on"] for _ in range(40_000)]
    (tmp_path / "flood").write_bytes(b"\n".join(b"|".join(line) for line in flood))
    supervised = supervise(f"exec cat {tmp_path}/flood", secrets=patterns(secrets))
    supervised.ended()
    printed = [line.split(b"|") for line in supervised.printed().splitlines()]
    assert [[*line[:3], line[-1]] for line in printed] == [[*line[:3], line[-1]] for line in flood]
    assert not {line[3] for line in printed} & set(told)


LONG_SECRETS = st.lists(st.binary(min_size=1, max_size=90).filter(lambda some: b"\n" not in some), min_size=1)


@settings(max_examples=300, deadline=None)
@given(LONG_SECRETS, st.binary(max_size=200), st.binary(max_size=200), st.binary(), st.integers(0, 10**6))
def test_the_sieve_misses_no_secret(secrets, before, after, sample, number):
    """Whatever the sample is like by which it has chosen where to look."""
    hidden = secrets[number % len(secrets)]
    sieve = Sieve(sorted(secrets, key=len, reverse=True), sample)
    assert hidden in sieve.candidates(before + hidden + after)


@pytest.mark.parametrize("size", [38, 39, 40, 46, 47, 48, 90])
def test_the_sieve_finds_a_long_secret_wherever_it_begins(size):
    secret, sample = bytes(range(100, 100 + size)), bytes(range(100))
    sieve = Sieve([secret], sample)
    assert bool(sieve.long) == (size > 38)
    assert all(sieve.candidates(b"." * before + secret) == [secret] for before in range(100))


def test_most_of_a_flood_is_not_searched_for_each_secret():
    """A key file has hundreds of forms: to look for each of them costs more than all the rest of a flood."""
    mask = Mask(patterns([KEY * 20, SECRET]))
    text = b"".join(b"2026-11-22 checking replica %d: lag is 3 s\n" % number for number in range(2000))
    assert mask(text) == text
    assert mask.sieve.candidates(text) == []
    assert len(mask.sieve.guards) + len(mask.sieve.families) < len(mask.secrets) / 4
    assert WORD * mask.sieve.step >= 8
