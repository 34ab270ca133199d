"""The log's line of each run that has ended: one, wherever it ended, with the id of the request that asked for it."""

import json
import logging
from collections.abc import Callable, Iterator

import pytest

from runbooks.execution import folder, launch
from runbooks.execution.control import cancel_run
from runbooks.execution.settle import settle
from runbooks.models import Run
from runbookweb import correlation
from runbookweb.log import JsonLines

from .conftest import ALICE


@pytest.fixture(autouse=True)
def _no_request() -> Iterator[None]:
    """Requests of other tests have left their ids behind, and this one's shall not."""
    token = correlation._current.set("")
    yield
    correlation._current.reset(token)


@pytest.fixture
def lines(caplog) -> Callable[[], list[dict]]:
    """What the log says of runs that have ended."""
    caplog.set_level(logging.INFO, "runbooks.runs")

    def lines() -> list[dict]:
        return [json.loads(JsonLines().format(line)) for line in caplog.records if line.name == "runbooks.runs"]

    return lines


def test_a_run_that_has_run_is_one_line_with_who_what_when_and_how(a_run, finish, lines):
    run = finish(a_run("exit 3"))
    (line,) = lines()
    assert line["message"] == f"restart.md #{run.pk}: failed after {line['seconds']} s"
    assert [line[name] for name in ("run_id", "runbook", "actor", "state")] == [run.pk, "restart.md", "alice", "failed"]
    assert (line["return_code"], line["ended_at"]) == (3, run.ended_at.isoformat())
    assert line["seconds"] == pytest.approx(run.seconds, abs=0.001)


def test_who_settles_it_a_second_time_adds_none(a_run, begin, lines):
    run = a_run()
    begin(run).wait()
    late = Run.objects.get()
    settle(run, folder.read_result(run.folder))
    settle(late, None)
    assert [line["state"] for line in lines()] == ["succeeded"]


def test_a_run_that_is_cancelled_while_it_waits_is_one_line(a_run, lines):
    run = a_run()
    for _ in range(2):
        cancel_run(ALICE, Run.objects.get())
    (line,) = lines()
    assert (line["run_id"], line["state"], line["seconds"], line["return_code"]) == (run.pk, "cancelled", 0, None)


def test_so_is_one_that_cannot_be_taken(a_run, lines):
    run = a_run()
    (run.folder / "lock").mkdir()
    assert launch.take(run) is None
    (line,) = lines()
    assert (line["run_id"], line["state"], line["return_code"]) == (run.pk, "failed", 127)


def test_the_line_has_the_id_of_the_request_that_asked_for_the_run_and_not_of_another(a_run, finish, lines):
    correlation.begin("asked-7")
    run = a_run()
    correlation.begin("another-8")
    finish(run)
    assert (run.correlation_id, lines()[0]["correlation_id"]) == ("asked-7", "asked-7")


def test_a_run_that_no_request_asked_for_has_none(a_run, finish, lines):
    run = a_run()
    correlation.begin("another-8")
    finish(run)
    assert "correlation_id" not in lines()[0]
