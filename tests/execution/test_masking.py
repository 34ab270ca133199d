"""No secret value reaches the log, in whatever form and in however many pieces a script prints it."""

import base64
import json
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbooks.execution.sealing import patterns
from runbooks.execution.supervisor.mask import Mask

SECRET = 'opén "sésame" & 100%/+'
PRINT = "import sys\nsys.stdout.buffer.write(%r)"
# In one run: each prefix of the secret, a pause until it has been flushed as far as it may be, and the rest.
PIECES = """
import os, sys
secret = os.environb[b"PASSWORD"]
for cut in range(1, len(secret)):
    os.write(1, b"> " + secret[:cut])
    if cut % 5 == 1:
        while open("../log", "rb").read().rpartition(b"\\n")[0].rpartition(b"\\n")[2][37:] != b"> ": pass
    os.write(1, secret[cut:] + b" <\\n")
    while not open("../log", "rb").read().endswith(b" <\\n"): pass
"""


def masked(supervise, text: str | bytes, *secrets: str) -> bytes:
    """What the log has of this text."""
    printed = text if isinstance(text, bytes) else text.encode()
    ended = supervise(PRINT % printed, language="python", secrets=patterns(secrets))
    ended.ended()
    return ended.printed()


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        json.dumps({"password": SECRET}),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
    ],
)
def test_a_secret_is_masked_in_every_form(supervise, form):
    printed = masked(supervise, f"before {form} after\n", SECRET).decode()
    assert printed.startswith("before ")
    assert printed.endswith(" after\n")
    assert "***" in printed
    assert "sam" not in printed


@pytest.mark.parametrize("user", ["a", "al", "ali", "alice", "Üser"])
@pytest.mark.parametrize("after", ["", "\n", ":x", "more text"])
def test_a_secret_inside_a_longer_base64_is_masked(supervise, user, after):
    """All but the characters that it shares with its neighbours: at most five at each end."""
    whole = f"{user}:opensesame-and-more{after}".encode()
    printed = masked(supervise, base64.b64encode(whole) + b"\n", "opensesame-and-more").strip()
    head, _, _ = printed.partition(b"***")
    assert base64.b64encode(whole).startswith(head)
    assert b"***" in printed
    assert b"sesame" not in base64.b64decode(head + b"=" * (-len(head) % 4))
    assert len(head) <= len(base64.b64encode(f"{user}:op".encode()))


def test_a_secret_of_several_lines_is_masked_line_by_line(supervise):
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END KEY-----\n"
    assert masked(supervise, f"{key}done\n", key) == b"***\n***\n***\n***\ndone\n"
    assert masked(supervise, "  kqhkiG9w0BAQEF, \n", key) == b"  ***, \n"
    assert masked(supervise, json.dumps({"key": key}) + "\n", key) == b'{"key": "***"}\n'


def test_a_long_secret_in_the_lines_of_the_command_base64_is_masked(supervise):
    secret = "opensesame" * 20
    lines = base64.encodebytes(secret.encode())
    assert not set(lines.splitlines()) & set(masked(supervise, lines, secret).splitlines())


def test_a_prompt_need_not_wait_because_a_secret_is_long():
    """A kubeconfig has 10 KB; a second of work for each prompt would break the promise of 100 ms."""
    secret = "\n".join(base64.b64encode(bytes([number, *range(47)])).decode() for number in range(150))
    mask = Mask(patterns([secret]))
    began = time.process_time()
    mask.unfinished(b"Continue? ")
    assert time.process_time() - began < 0.05


def test_a_secret_split_over_two_writes_is_masked_wherever_the_split(supervise):
    ended = supervise(
        PIECES, language="python", secrets=patterns(["opensesame 1234"]), environment={"PASSWORD": "opensesame 1234"}
    )
    ended.ended()
    assert ended.printed() == b"> *** <\n" * 14
    assert sum(entry.is_part for entry in ended.entries()) >= 3


def test_a_prompt_that_ends_like_the_beginning_of_a_secret_is_held_back(supervise):
    # When the later part of a line is in the log, the earlier one has had its turn.
    script = """
        printf 'Name: '; until grep -q Name ../log; do :; done
        printf open; printf later >&2; until grep -q later ../log; do :; done
        cp ../log seen; printf sesame"""
    ended = supervise(script, secrets=[b"opensesame"])
    ended.ended()
    assert ended.printed() == b"Name: ***"
    assert b"Name" in (ended.work / "seen").read_bytes()
    assert b"open" not in (ended.work / "seen").read_bytes()


def test_what_only_begins_like_a_secret_is_shown_in_the_end(supervise):
    assert masked(supervise, "openair", "opensesame") == b"openair"
    assert masked(supervise, "open", "opensesame") == b"open"


def test_overlapping_secrets_are_all_masked(supervise):
    assert (
        masked(supervise, "opensesame opensesameseed seed\n", "opensesame", "opensesameseed", "seed")
        == b"*** *** ***\n"
    )
    assert masked(supervise, "first\nsecond\n", "first\nsecond", "second") == b"***\n***\n"


def test_a_secret_across_the_limit_of_a_long_line_is_masked(supervise):
    for before in (65530, 65536 - 2, 131072 - 5):
        printed = masked(supervise, b"x" * before + b"opensesame" + b"y" * 70000 + b"\n", "opensesame")
        assert printed == b"x" * before + b"***" + b"y" * 70000 + b"\n"


def test_standard_error_is_masked_too(supervise):
    ended = supervise("echo opensesame >&2", secrets=[b"opensesame"])
    ended.ended()
    assert ended.printed("stderr") == b"***\n"


def test_nothing_is_masked_without_secrets(supervise):
    assert masked(supervise, "a *** b\n", "", " ") == b"a *** b\n"


def in_pieces(mask: Mask, chunks: list[bytes]) -> bytes:
    """What is shown of a line that comes in these pieces, each flushed as far as it may be."""
    shown = pending = b""
    for chunk in chunks:
        pending += chunk
        more, pending = mask.unfinished(pending)
        shown += more
    return shown + mask(pending)


def can_overlap(one: bytes, other: bytes) -> bool:
    """Whether some text has both so that one ends within the other."""
    return any(one[-size:] == other[:size] for size in range(1, min(len(one), len(other)) + (one != other)))


# The smaller the alphabet, the more often a piece ends like the beginning of a secret.
SECRETS = st.lists(st.text("abc", min_size=1, max_size=5).map(str.encode), min_size=1, max_size=3, unique=True)
DISTINCT_SECRETS = SECRETS.filter(lambda some: not any(can_overlap(one, other) for one in some for other in some))
CHUNKS = st.lists(st.text("abc", max_size=6).map(str.encode), max_size=6)


@settings(max_examples=300, deadline=None)
@given(DISTINCT_SECRETS, CHUNKS)
def test_the_pieces_of_a_line_show_what_the_whole_would(secrets, chunks):
    """True of secrets none of which begins as it or another ends; true secrets are long and random."""
    shown = in_pieces(Mask(secrets), chunks)
    assert shown == Mask(secrets)(b"".join(chunks))
    assert not any(secret in shown for secret in secrets)


@settings(max_examples=300, deadline=None)
@given(SECRETS, st.text("abc", max_size=20).map(str.encode))
def test_a_whole_line_shows_no_secret_however_they_overlap(secrets, line):
    assert not any(secret in Mask(secrets)(line) for secret in secrets)


@pytest.mark.parametrize(
    ("secrets", "chunks"),
    [([b"aaa"], [b"baa", b"aaa", b"aa"]), ([b"ab", b"ba"], [b"aaba", b"ba", b"aa", b"b"])],
)
def test_no_secret_is_shown_in_pieces_that_overlap_with_themselves(secrets, chunks):
    shown = in_pieces(Mask(secrets), chunks)
    assert not any(secret in shown for secret in secrets)


@settings(max_examples=300, deadline=None)
@given(SECRETS, CHUNKS)
def test_what_is_held_back_is_bounded(secrets, chunks):
    """However much a script prints without a line end, no more waits than what the secrets could make of it."""
    line = b"".join(chunks)
    _, rest = Mask(secrets).unfinished(line)
    assert len(rest) < max(map(len, secrets))


def test_the_short_lines_of_a_long_secret_do_not_wreck_the_log(supervise):
    key = '{\n  "type": "service_account",\n  "key": "opensesame"\n}\n'
    code = b'a new function() { return {"a": 1} }; nothing renewed\n'
    assert masked(supervise, code, key) == code
    assert b"opensesame" not in masked(supervise, key, key)


LETTERS = """
import os
secret = os.environb[b"TOKEN"]
def shown(): return open("../log", "rb").read()
os.write(1, b"Continue")
while not shown().endswith(b"ue\\n"): pass
os.write(1, b" " + secret[:2])
while not shown().endswith(b" " + secret[:2] + b"\\n"): pass
os.write(1, secret[2:9])
os.write(2, b"later")
while b"later" not in shown(): pass
os.write(1, secret[9:] + b" on\\n")
"""


def test_a_prompt_is_whole_although_a_long_secret_begins_like_its_end(supervise):
    """Every run has a token, which begins with the letter e; what follows on a hint of it is masked all the same."""
    token = "eyJhbGciOi" * 5
    ended = supervise(LETTERS, language="python", secrets=patterns([token]), environment={"TOKEN": token})
    ended.ended()
    assert ended.printed() == b"Continue ey*** on\n"


def test_what_only_begins_like_a_long_secret_is_shown_once(supervise):
    script = "printf 'Name'; until grep -q Name ../log; do :; done; echo ' e'; printf 'ey'"
    ended = supervise(script, secrets=patterns(["eyJhbGciOi" * 5]))
    ended.ended()
    assert ended.printed() == b"Name e\ney"


def test_a_secret_within_another_does_not_show_the_rest_of_that():
    mask = Mask([b"b", b"abc"])
    assert mask.unfinished(b"ab") == (b"", b"ab")
    assert mask(b"abc") == b"***"


def test_each_of_a_list_of_short_codes_is_masked():
    assert Mask(patterns(["ab1\ncd2"]))(b"ab1\ncd2\n") == b"***\n***\n"
