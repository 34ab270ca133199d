"""What the supervisor writes into the log: entries of one form, in order, at once, and byte for byte."""

import re

import pytest

from runbooks.output.entries import PREFIX

from .supervising import seconds

ENTRY = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z (stdout|stderr) [FP] ")
PRINT = "import sys\nsys.stdout.buffer.write(%s)"


def test_each_entry_has_a_prefix_of_37_bytes(supervise):
    ended = supervise("echo out; echo err >&2; printf partial")
    ended.ended()
    lines = (ended.folder / "log").read_bytes().splitlines()
    assert [ENTRY.match(line).end() for line in lines] == [PREFIX] * 3
    assert sorted(line[28:] for line in lines) == [b"stderr F err", b"stdout F out", b"stdout P partial"]


def test_times_are_utc_and_never_before_the_print(supervise):
    ended = supervise("import time\nfor _ in range(3): print(time.time())", language="python")
    result = ended.ended()
    written = [seconds(entry) for entry in ended.entries()]
    assert all(time - float(entry.content) > -0.001 for entry, time in zip(ended.entries(), written, strict=True))
    assert written == sorted(written)
    assert written[-1] < result.ended_at + 1


def test_stdout_and_stderr_are_in_the_order_of_arrival(supervise):
    # Each line waits until the one before it is in the log: otherwise nobody could say which came first.
    script = """
import sys
def say(file, text):
    print(text, file=file, flush=True)
    while f" F {text}\\n" not in open("../log").read(): pass
for number in range(1, 50):
    say(sys.stdout, number)
    say(sys.stderr, -number)
"""
    ended = supervise(script, language="python")
    ended.ended()
    assert [int(entry.content) for entry in ended.entries()] == [sign * n for n in range(1, 50) for sign in (1, -1)]


def test_the_beginning_of_a_line_is_there_before_its_rest(supervise):
    """The promise is 100 ms; 500 leave room for a noisy machine."""
    script = """
import sys, time
for _ in range(5):
    print(time.time(), end="", flush=True)
    while "P" not in open("../log").read().rpartition("F")[2]: time.sleep(0.001)
    print(" rest", flush=True)
    while not open("../log").read().endswith(" rest\\n"): time.sleep(0.001)
"""
    ended = supervise(script, language="python")
    ended.ended()
    assert [(entry.is_part, entry.content[-5:] == b" rest") for entry in ended.entries()] == [
        (True, False),
        (False, True),
    ] * 5
    assert sorted(seconds(entry) - float(entry.content) for entry in ended.entries()[::2])[-1] < 0.5


def test_a_last_line_without_a_line_end_is_a_part(supervise):
    ended = supervise("echo one; printf two")
    ended.ended()
    assert [(entry.content, entry.is_part) for entry in ended.entries()] == [(b"one", False), (b"two", True)]


@pytest.mark.parametrize("size", [65535, 65536, 65537, 131072, 200_000, 10_000_000])
def test_a_long_line_is_split_and_joins_again(supervise, size):
    line = bytes(range(32, 127)) * (size // 95 + 1)
    ended = supervise(PRINT % f"(bytes(range(32, 127)) * {size // 95 + 1})[:{size}] + b'\\nnext\\n'", language="python")
    ended.ended()
    assert ended.printed() == line[:size] + b"\nnext\n"
    assert max(len(entry.content) for entry in ended.entries()) <= 65536
    assert ended.entries()[-1].content == b"next"


@pytest.mark.parametrize(
    "printed",
    [b"a\0b\n", b"10%\r20%\r\n", b"\xff\xfe\xc3\n", b"\n\n\n", b"\x1b[31mred\x1b[0m\n", b"\x85\xe2\x80\xa8\n"],
)
def test_odd_bytes_are_kept(supervise, printed):
    ended = supervise(PRINT % repr(printed), language="python")
    ended.ended()
    assert ended.printed() == printed


def test_a_mebibyte_of_noise_is_kept_byte_for_byte(supervise):
    ended = supervise("head -c 1048576 /dev/urandom | tee noise")
    ended.ended()
    assert ended.printed() == (ended.work / "noise").read_bytes()


def test_lines_from_both_streams_at_full_speed_stay_whole(supervise):
    script = "seq 1 20000 & seq -f -%g 1 20000 >&2; wait"
    ended = supervise(script)
    ended.ended()
    expected = [str(number).encode() for number in range(1, 20001)]
    assert ended.printed("stdout").split() == expected
    assert ended.printed("stderr").split() == [b"-" + line for line in expected]
