"""A script that prints too much: what is recorded, what is left out, and that the log says exactly how much."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runbooks.models import State
from runbooks.output.entries import Entry

from .supervising import Supervised, is_note, joined, start, status, until

TAIL = 256 * 1024
RAW_TAIL = 8 * TAIL
PREFIX = 37  # of each entry: time, stream, tag
LIMIT = 300 * 1024
LEFT_OUT = re.compile(r"\[runbook\] (\d+) bytes of output were left out here")
PRINT = "import sys\nsys.stdout.buffer.write(%s)"
PROGRAMS = {
    "ordinary lines": 'b"".join(b"line %07d of many\\n" % number for number in range(120_000))',
    "empty lines": 'b"\\n" * 700_000',
    "tiny lines": 'b"".join(b"%d\\n" % (number % 10) for number in range(600_000))',
    "long lines": 'b"".join(b"%d" % number * 30_000 + b"\\n" for number in range(40))',
    "one line": 'b"".join(b"%08d" % number for number in range(400_000))',
    "one line longer than the tail at the end": 'b"short\\n" * 100_000 + b"x" * 700_000 + b"\\n"',
}


def parts(ended: Supervised) -> tuple[list[Entry], int, list[Entry]]:
    """What was recorded before the gap, how many bytes the log says were left out, and what was recorded after it."""
    entries = ended.entries()
    found = [(at, LEFT_OUT.fullmatch(entry.content.decode())) for at, entry in enumerate(entries) if is_note(entry)]
    at, match = next((at, match) for at, match in found if match)
    head, tail = ([entry for entry in some if not is_note(entry)] for some in (entries[:at], entries[at + 1 :]))
    return head, int(match[1]), tail


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_head_left_out_and_tail_are_all_that_was_printed(supervise, program):
    printed = eval(program)  # noqa: S307 - the very text that the script runs
    ended = supervise(PRINT % program, language="python", limit=LIMIT)
    ended.ended()
    head, left_out, tail = (joined(part) if isinstance(part, list) else part for part in parts(ended))
    assert printed.startswith(head)
    assert printed.endswith(tail)
    assert len(head) + left_out + len(tail) == len(printed)
    # An entry that would not fit whole is not cut.
    assert LIMIT - 2 * 65536 < len(head) <= LIMIT
    with_times = len(tail) + PREFIX * tail.count(b"\n")
    assert len(tail) <= TAIL
    assert len(tail) >= TAIL - 65536 or with_times > RAW_TAIL - 65536


def test_both_streams_count(supervise):
    ended = supervise("seq 1 200000 | tee noise; seq 1 200000 >&2", limit=LIMIT)
    ended.ended()
    head, left_out, tail = parts(ended)
    recorded = sum(len(joined(part)) for part in (head, tail))
    assert recorded + left_out == 2 * (ended.work / "noise").stat().st_size
    assert {entry.stream for entry in tail} == {"stderr"}


def test_the_operator_is_told_at_once_that_the_limit_is_reached(supervise):
    running = supervise("seq 1 20000; until [ -e go ]; do sleep 0.01; done; echo the end", limit=1000)
    until(running.notes)
    assert "the output limit of 1000 bytes is reached" in running.notes()[0]
    (running.work / "go").touch()
    running.ended()
    assert running.entries()[-1].content == b"the end"


def test_nothing_is_left_out_when_it_fits_exactly(supervise):
    ended = supervise("seq 1 1000", limit=3893)
    ended.ended()
    assert len(ended.printed()) == 3893
    assert ended.notes() == []


def test_one_byte_more_than_the_limit_is_in_the_tail(supervise):
    ended = supervise("seq 1 1000; echo", limit=3893)
    ended.ended()
    assert len(ended.printed()) == 3894
    assert len(ended.notes()) == 1
    assert "limit" in ended.notes()[0]


def test_no_entry_has_more_than_its_prefix_when_the_limit_is_tiny(supervise):
    ended = supervise("seq 1 100000; echo the end", limit=1)
    ended.ended()
    assert joined(parts(ended)[0]) == b""
    assert parts(ended)[1] == 588895 + 8 - len(joined(parts(ended)[2]))


def test_notes_are_recorded_past_the_limit(supervise):
    ended = supervise("seq 1 100000; sleep 60", limit=1000, timeout=0.5)
    ended.ended()
    assert any("timed out after" in note for note in ended.notes())


@pytest.mark.parametrize(("line", "size"), [("x" * 99, 300_000_000), ("x", 5_000_000)], ids=["ordinary", "tiny"])
def test_the_supervisors_memory_stays_flat(supervise, line, size):
    script = f"yes {line} | head -c {size}; touch printed; until [ -e go ]; do sleep 0.01; done"
    running = supervise(script, limit=1_000_000)
    # What the script has written has been read, but for what fits into the pipe.
    until((running.work / "printed").exists)
    peak = int(status(running.process.pid, "VmHWM").split()[0])
    (running.work / "go").touch()
    running.ended()
    head, left_out, tail = parts(running)
    assert sum(len(joined(part)) for part in (head, tail)) + left_out == size
    assert peak < 40_000


@pytest.fixture
def a_small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", disk], check=False).returncode:
        pytest.skip("only root may mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_on_a_full_disk_the_script_goes_on_and_how_it_ended_is_written_down(a_small_disk, tmp_path):
    ended = start(a_small_disk / "run", f"seq 1 100000; echo whole > {tmp_path}/proof; exit 3")
    result = ended.ended()
    assert (result.state, result.return_code) == (State.FAILED, 3)
    missing = 588_895 - len(joined(ended.entries()))
    assert result.warnings == (f"{missing} bytes at the log's end are missing: No space left on device",)
    assert (tmp_path / "proof").read_text() == "whole\n"
