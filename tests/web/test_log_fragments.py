"""A viewer who is far behind: where the way leads, and what becomes of lines that have not ended."""

import os
import re
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from runbooks.execution import folder
from runbooks.models import Run, State
from runbooks.output.follow import Part
from runbooks.output.index import STEP
from runbooks.output.lines import Lines
from runbooks.web.log_fragments import Jump, Rendered, jump, lines_at, log_context
from tests.output.conftest import line


@pytest.fixture
def a_run(db):
    """A run with this log."""

    def a_run(log: bytes) -> Run:
        run = Run.objects.create(runbook="a.md", actor="alice", timeout=600, state=State.RUNNING, source="# a")
        folder.prepare(run.folder)
        run.log.write_bytes(log)
        return run

    return a_run


@pytest.fixture
def jumped(a_run):
    """Where a viewer of this log is led, who has seen its first so many bytes."""

    def jumped(log: bytes, *, seen: int = 0) -> Jump | None:
        run = a_run(log)
        return jump(run, lines_at(run, seen), after=seen)

    return jumped


def shown(lines: Lines) -> tuple[object, ...]:
    """All that what follows these lines depends on."""
    styles = {stream: style.classes for stream, style in lines.styles.items()}
    return lines.count, styles, lines.unfinished()


def test_who_is_not_far_behind_stays(jumped):
    assert jumped(line("near") * 2000) is None


def test_who_is_far_behind_is_led_near_the_end(jumped):
    there = jumped(line("far") * 5000)
    assert (there.lines.count, there.end) == (4500, 4500 * len(line("far")))
    assert there.event.decode() == f"id: {there.end}\ndata: \n\n"


def test_a_line_in_many_parts_that_is_known_is_told_as_far_as_it_has_come(jumped):
    there = jumped(line(".", tag="P") * 3000, seen=len(line(".", tag="P")))
    event = there.event.decode()
    assert event.startswith(f'id: {there.end}\ndata: <hx-partial hx-target="#L1"')
    assert re.search(r">(\.+)<", event)[1] == "." * 2500
    assert there.end == 2500 * len(line(".", tag="P"))


def test_a_line_that_began_in_what_is_passed_over_is_a_new_one(jumped):
    event = jumped(line("whole") * 10 + line(".", tag="P") * 3000).event.decode()
    assert re.findall(r'id="L(\d+)"', event) == ["11"]


def test_a_line_that_ends_in_what_is_passed_over_is_told_as_it_ends(jumped):
    begun = line("Copying… ", tag="P")
    there = jumped(begun + line("other", stream="stderr") * 10 + line("done") + line("far") * 5000, seen=len(begun))
    event = there.event.decode()
    assert event.startswith(f'id: {there.end}\ndata: <hx-partial hx-target="#L1"')
    assert "Copying… done</span>" in event
    assert event.count("<hx-partial") == event.count("log__line") == 1


def test_the_page_is_told_for_how_long_nothing_was_printed(a_run):
    run = a_run(line("begun"))
    run.started_at = timezone.now() - timedelta(minutes=5)
    printed_at = time.time() - 60
    os.utime(run.log, (printed_at, printed_at))
    assert 60 <= log_context(run)["silent"] < 70
    run.log.unlink()
    assert 300 <= log_context(run)["silent"] < 310


@pytest.mark.parametrize("changes", [{"state": State.QUEUED}, {"state": State.LOST, "started_at": timezone.now()}])
def test_who_does_not_run_is_not_silent(a_run, changes):
    run = a_run(b"")
    vars(run).update(changes)
    assert log_context(run)["silent"] is None


def test_all_who_read_a_part_get_the_same_html_wherever_they_are_in_it():
    part = Part(line("one") * 1200, 0, 1200 * len(line("one")))
    rendered = Rendered(part, Lines())
    first, second = iter(rendered), iter(rendered)
    ahead = [next(first), next(first)]
    assert [*second] == [*ahead, *first]
    assert [chunk.count for chunk in rendered] == [500, 500, 200]
    assert rendered.lines.count == 1200


def test_lines_that_were_counted_for_one_viewer_are_not_counted_again_for_the_next(a_run, monkeypatch):
    entries = [
        line("\x1b[31mred" if number % 7 == 0 else "plain \x1b[0m", tag="FP"[number % 2]) for number in range(50_000)
    ]
    run = a_run(b"".join(entries))
    counted: list[bytes] = []
    skip = Lines.skip
    monkeypatch.setattr(Lines, "skip", lambda lines, data, **how: counted.append(data) or skip(lines, data, **how))
    for viewer, number in enumerate((50_000, 49_999, 30_000, 7, 0)):
        seen, alone = b"".join(entries[:number]), Lines()
        skip(alone, seen)
        assert shown(lines_at(run, len(seen))) == shown(alone)
        assert (b"".join(counted) == seen) if viewer == 0 else sum(map(len, counted)) < 2 * STEP
        counted.clear()
