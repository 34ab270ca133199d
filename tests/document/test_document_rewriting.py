"""The History that is written anew: the same as its entries would have made one by one, and nothing else changes."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from runbooks.document.history import CannotWrite, Entry, appended, rewrite, rewritten

from .examples import a_runbook

ENTRY = Entry(7, datetime(2026, 11, 22, 16, 24, 1, tzinfo=UTC), "succeeded", 0, "alice", "checked\n", "")
ENTRIES = [replace(ENTRY, run=run, stdout=f"## no {run}\n# nor this\n") for run in range(1, 6)]
SOURCES = {
    "no section": a_runbook(history=""),
    "an empty section": a_runbook(),
    "no line end": a_runbook(history="# History"),
    "an author's words": a_runbook(history="# History\n\nMoved here in May.\n\n## In June\n\nAll was well.\n"),
    "a section after it": a_runbook(history="# History\n\n# Notes\n\nNone.\n"),
    "Windows": a_runbook(history="# History\n\nMoved.\n\n# Notes\n").replace("\n", "\r\n"),
    "not UTF-8": a_runbook(history="# History\n\n\udcff\n"),
}


def grown(source: bytes, entries: list[Entry]) -> bytes:
    """The file after these runs have ended one by one."""
    for entry in entries:
        source = appended(source, entry, keep=3)
    return source


@pytest.fixture(params=SOURCES)
def source(request) -> bytes:
    return SOURCES[request.param].encode("utf-8", "surrogateescape")


@pytest.mark.parametrize("count", range(1, 6))
def test_it_is_what_the_runs_have_made_one_by_one(source, count):
    made = grown(source, ENTRIES[:count])
    told = ENTRIES[:count][-3:]
    assert rewritten(made, told) == made
    assert rewritten(source, told) == grown(source, told)


def test_entries_that_are_not_to_be_told_go(source):
    other = replace(ENTRY, run=99)
    for order in itertools.permutations([ENTRIES[0], other, ENTRIES[1]]):
        assert rewritten(grown(source, list(order)), ENTRIES[:2]) == rewritten(source, ENTRIES[:2])


def test_without_entries_the_rest_stays(source):
    emptied = rewritten(grown(source, ENTRIES), [])
    assert b"Run 5" not in emptied
    assert rewritten(emptied, []) == emptied
    assert rewritten(emptied, ENTRIES[:1]) == rewritten(source, ENTRIES[:1])


def test_entries_of_unsettled_runs_stay_at_the_end(source):
    made = grown(source, ENTRIES[:3])
    assert rewritten(made, ENTRIES[:2], unsettled={3, 4}) == made
    assert rewritten(made, ENTRIES[1:2], unsettled={3}) == grown(source, ENTRIES[1:3])


def test_a_file_without_history_and_entries_is_not_touched():
    source = a_runbook(history="").encode()
    assert rewritten(source, []) == source


def test_only_the_newest_are_kept(tmp_path):
    path = tmp_path / "Check.md"
    path.write_text(a_runbook())
    rewrite(path, lambda: (ENTRIES, ()), keep=3)
    assert path.read_bytes() == grown(a_runbook().encode(), ENTRIES)
    before = path.stat().st_ino
    rewrite(path, lambda: (ENTRIES, ()), keep=3)
    assert path.stat().st_ino == before


def test_what_cannot_be_written_is_said(tmp_path):
    path = tmp_path / "Check.md"
    path.write_text(a_runbook())
    path.chmod(0o444)
    with pytest.raises(CannotWrite, match="is read-only"):
        rewrite(path, lambda: (ENTRIES, ()), keep=3)
    assert path.read_text() == a_runbook()
