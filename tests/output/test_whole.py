"""A log's lines for downloads: whole, wherever they begin and end, and none of them twice."""

from html import unescape
from pathlib import Path

import pytest

from runbooks.output import whole
from runbooks.output.lines import Lines
from runbooks.output.whole import WholeLine, WholeLines
from tests.output.conftest import TIME, entries, line, text_of

pytestmark = pytest.mark.usefixtures("small_steps")


def told(log: Path, *, first: int = 1, last: int | None = None) -> list[WholeLine]:
    return [line for lines in WholeLines(log, first=first, last=last).told() for line in lines]


@pytest.mark.parametrize("seed", range(6))
def test_what_is_downloaded_is_what_is_shown(a_log, seed):
    data = entries(seed, parts=[0.3, 0, 0.01][seed % 3])
    shown = {number: unescape(text_of(row)) for number, row in Lines().render(data).items()}
    log, middle = a_log(data), len(shown) // 2
    assert {line.number: line.text for line in told(log)} == shown
    some = {line.number: line.text for line in told(log, first=middle, last=middle + 100)}
    assert some == {number: text for number, text in shown.items() if middle <= number <= middle + 100}


def test_a_line_is_told_when_it_has_ended_with_the_time_when_it_began(a_log):
    log = a_log(line("be", tag="P") + line("\x1b[31mother", stream="stderr") + line("gun"))
    time = TIME.decode()
    assert told(log) == [WholeLine(2, time, "stderr", "other", True), WholeLine(1, time, "stdout", "begun", True)]


def test_a_line_without_an_end_is_told_as_far_as_it_has_come(a_log):
    assert told(a_log(line("whole") + line("Password: ", tag="P")))[1].text == "Password: "


def test_a_very_long_line_comes_in_pieces(a_log, monkeypatch):
    monkeypatch.setattr(whole, "LONGEST", 2500)
    lines = told(a_log(line("x" * 1000, tag="P") * 4 + line("end")))
    assert [(line.number, len(line.text), line.has_ended) for line in lines] == [(1, 3000, False), (1, 1003, True)]


def test_a_range_is_what_the_file_has_of_its_lines(a_log):
    data = [line("1"), line("2", tag="P"), line("3", stream="stderr"), line("2"), line("4")]
    log = a_log(b"".join(data) + line("more") * 500)
    assert b"".join(WholeLines(log, first=2, last=2).raw()) == data[1] + data[3]
    assert b"".join(WholeLines(log, first=3, last=4).raw()) == data[2] + data[4]
    assert b"".join(WholeLines(log, first=505, last=900).raw()) == b""
