"""A viewer who is far behind: what stands for what is passed over, and what becomes of lines that have not ended."""

import re

import pytest

from runbooks.execution import folder
from runbooks.models import Run, State
from runbooks.output.follow import Reader
from runbooks.output.html import Lines
from runbooks.web.fragments import jump, pass_over
from tests.output.conftest import line


@pytest.fixture
def behind(db):
    """A reader of this log, and its lines, after the first so many bytes."""

    def create(log: bytes, *, seen: int = 0) -> tuple[Reader, Lines]:
        run = Run.objects.create(runbook="a.md", actor="alice", timeout=600, state=State.RUNNING, source="# a")
        folder.prepare(run.folder)
        run.log.write_bytes(log)
        reader, lines = Reader(run), Lines()
        pass_over(reader, lines, to=seen)
        return reader, lines

    return create


def test_who_is_not_far_behind_stays(behind):
    reader, lines = behind(line("near") * 2000)
    assert jump(reader, lines) is None
    assert reader.offset == 0


def test_lines_are_passed_over_and_counted(behind):
    reader, lines = behind(line("far") * 5000)
    assert "4,500 lines passed over" in jump(reader, lines)
    assert lines.count == 4500


def test_a_line_in_many_parts_that_is_known_is_told_as_far_as_it_has_come(behind):
    reader, lines = behind(line(".", tag="P") * 3000, seen=len(line(".", tag="P")))
    html = jump(reader, lines)
    assert "passed over" not in html
    assert html.startswith('<hx-partial hx-target="#L1"')
    assert re.search(r">(\.+)<", html)[1] == "." * 2500
    assert reader.offset == 2500 * len(line(".", tag="P"))


def test_a_line_that_began_in_what_is_passed_over_is_a_new_one(behind):
    reader, lines = behind(line("whole") * 10 + line(".", tag="P") * 3000)
    html = jump(reader, lines)
    assert "10 lines passed over" in html
    assert 'data-lines="1"' in html
    assert 'id="L11"' in html
