"""bin/bench: it measures on a server of its own, of which nothing is left."""

import json
import os
import subprocess

import pytest

from bench.clients import Stream, read
from bench.table import Row, table
from tests.processes import ROOT


def bench(*options: object, **environment: str) -> subprocess.CompletedProcess:
    command = [ROOT / "bin/bench", "--quick", *options]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=60)


def test_it_compares_a_run_with_its_floor(tmp_path):
    done = bench("--only", "true", "--json", tmp_path / "figures", TMPDIR=str(tmp_path), MAX_CONCURRENT_RUNS="wrong")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "figures").read_text())
    assert 1 < row["floor"] < row["value"]
    assert row["ratio"] == row["value"] / row["floor"]
    assert f"{row['what']}  " in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["figures"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--only", "true,speed"), "'speed' is none of true, line, output, secrets, runs, viewers, pages, history"),
        (("--json", "nowhere/figures"), "'nowhere/figures' cannot be written: give a file in a folder that is there"),
    ],
)
def test_what_it_cannot_do_is_said_before_it_measures(options, complaint):
    done = bench(*options)
    assert done.returncode == 2
    assert complaint in done.stderr


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 40, 1000])
def test_the_reader_finds_each_line_once_however_it_is_cut(size):
    sent = b"data: parent:12 \n\ndata: tick:1000000000.000001\n\n"
    sent += b'event: done\n{"stdout": "parent:12 \\ntick:1000000000.000001"'
    stream = stream_of(sent, size=size)
    assert (stream.parent, len(stream.ages), stream.size) == (12, 1, len(sent))


def test_the_reader_keeps_the_end_of_much():
    lines = b"tick:1000000000.000001\n" * 5000
    stream = stream_of(lines + b'"status": "succeeded"', size=4000)
    assert len(stream.ages) == 5000
    assert stream.has_succeeded


@pytest.mark.parametrize(
    ("row", "is_met"),
    [
        (Row("a", 5, "ms"), None),
        (Row("a", 5, "ms", at_most=5), True),
        (Row("a", 5.1, "ms", at_most=5), False),
        (Row("a", 49, "runs", at_least=50), False),
        (Row("a", 25, "ms", floor=10, most_ratio=2.5), True),
        (Row("a", 26, "ms", floor=10, most_ratio=2.5), False),
    ],
)
def test_a_goal_is_met_or_not(row, is_met):
    assert row.is_met is is_met


def test_the_table_shows_figures_beside_floors_and_goals():
    shown = table([Row("a run", 31.25, "ms", floor=10, most_ratio=2.5), Row("lines", 1, "GB")])
    head, run, lines = shown.splitlines()
    assert head.split() == ["what", "figure", "floor", "ratio", "goal", "met"]
    assert run.split() == ["a", "run", "31.2", "ms", "10", "ms", "3.12", "≤", "2.5", "floors", "NO"]
    assert lines.split() == ["lines", "1", "GB"]


def stream_of(sent: bytes, *, size: int) -> Stream:
    """What the reader makes of these bytes, if they come in pieces of this size."""
    theirs, ours = os.pipe()
    stream = Stream(theirs)
    with os.fdopen(ours, "wb", buffering=0) as writer:
        for start in range(0, len(sent), size):
            writer.write(sent[start : start + size])
            stream.read()
    read([stream])
    return stream
