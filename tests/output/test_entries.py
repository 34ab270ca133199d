"""The log's format: what a reader finds in it, wherever it begins."""

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooks.output import entries
from tests.output.conftest import line

CONTENTS = st.lists(
    st.tuples(
        st.sampled_from(["stdout", "stderr"]),
        st.sampled_from("FP"),
        st.binary(max_size=80).map(lambda b: b.replace(b"\n", b"")),
    ),
    max_size=40,
)


@given(CONTENTS)
def test_every_entry_comes_back_byte_for_byte(contents):
    data = b"".join(line(content, stream=stream, tag=tag) for stream, tag, content in contents)
    found = [(entry.stream, "P" if entry.is_part else "F", entry.content) for entry in entries.parse(data)]
    assert found == contents


@given(CONTENTS, st.integers(0, 10**6))
def test_each_entry_knows_the_offset_after_it(contents, start):
    data = b"".join(line(content, stream=stream, tag=tag) for stream, tag, content in contents)
    for entry in entries.parse(data, start=start):
        rest = data[entry.end - start :]
        assert rest == b"" or rest.startswith(b"2026-11-22T")
        assert data[: entry.end - start].endswith(entry.content + b"\n")


def test_a_line_that_only_looks_like_a_part_is_none():
    assert not entries.has_parts(line("it wrote 2026-11-22T16:23:59.123456Z stdout P to a file"))


def test_a_foreign_line_is_shown_as_it_is():
    entry = next(entries.parse(b"not in the format\n"))
    assert (entry.content, entry.is_part) == (b"not in the format", False)


@pytest.mark.parametrize("lines", [1, 2, 5, 2000, 5000])
def test_the_tail_has_exactly_so_many_lines(tmp_path: Path, lines: int):
    data = b"".join(line(f"number {number} " + "x" * (number % 200)) for number in range(5000))
    log = tmp_path / "log"
    log.write_bytes(data)
    offset = entries.tail_offset(log, lines=lines, end=len(data))
    assert data[offset:].count(b"\n") == min(lines, 5000)
    assert entries.is_line_start(log, offset)


def test_a_reader_may_only_go_on_at_the_start_of_a_line(tmp_path: Path):
    log = tmp_path / "log"
    log.write_bytes(line("first") + line("second"))
    allowed = [offset for offset in range(-1, 200) if entries.is_line_start(log, offset)]
    assert allowed == [0, len(line("first")), len(line("first") + line("second"))]


def test_an_excerpt_of_a_short_log_is_the_whole_stream(tmp_path: Path):
    log = tmp_path / "log"
    log.write_bytes(line("one") + line("oops", stream="stderr") + line("tw", tag="P") + line("o"))
    assert entries.excerpt(log, "stdout") == "one\ntwo\n"
    assert entries.excerpt(log, "stderr") == "oops\n"


def test_an_excerpt_of_a_long_log_has_its_beginning_and_its_end(tmp_path: Path):
    log = tmp_path / "log"
    log.write_bytes(b"".join(line(f"number {number}") for number in range(100_000)))
    text = entries.excerpt(log, "stdout", size=1000)
    assert text.startswith("number 0\n")
    assert text.endswith("number 99999\n")
    assert "[...]" in text
    assert len(text) < 2100


def test_a_note_is_a_line_on_stderr_that_names_its_author(tmp_path: Path):
    log = tmp_path / "log"
    entries.append_note(log, "could not\nstart")
    entry = next(entries.parse(log.read_bytes()))
    assert (entry.stream, entry.content) == ("stderr", b"[runbook] could not start")
    assert datetime.fromisoformat(entry.time).utcoffset().total_seconds() == 0
