"""`manage.py runner` runs what a server without a runner is asked for, alone or with others, until it is stopped."""

import signal
from collections.abc import Iterator
from datetime import datetime

import pytest

from tests.conftest import runbook_source
from tests.faults.parts import Parts, kill, parts_of
from tests.processes import running, until
from tests.serving import Program, Site, signed_in


@pytest.fixture
def parts(site: Site) -> Iterator[Parts]:
    with parts_of(site) as parts:
        yield parts


@pytest.fixture
def ann(parts: Parts) -> Program:
    """A client of a server without a runner."""
    return signed_in(parts.started("server"))


def states(site: Site) -> list[str]:
    return [state for (state,) in site.query("state")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_that_it_is_ready_and_ends_cleanly(parts, site, number):
    runner = parts.started("runner")
    assert runner.stop(number) == 0
    assert runner.stdout.read_text() == f"Runbookweb's runner is ready for the runs in {site.data}\n"
    assert runner.complaints == ""


def test_without_a_database_it_says_what_to_do(tmp_path):
    with running("manage.py", "runner", stdout=tmp_path / "out", DATA_DIR=str(tmp_path)) as runner:
        assert runner.process.wait(15) == 1
        assert runner.complaints.startswith("The database is not up to date: run ")


def test_it_runs_what_a_server_is_asked_for_and_its_scripts_go_on_without_it(parts, ann, site, go):
    ann.execute("wait.md")
    assert states(site) == ["queued"]
    runner = parts.started("runner")
    until(lambda: "begun" in site.printed(1))
    assert runner.stop() == 0
    go.touch()
    until((site.data / "runs/1/result").exists)
    assert states(site) == ["running"]
    parts.started("runner")
    until(lambda: states(site) == ["succeeded"])
    assert site.printed(1).count("gone on") == 1


@pytest.mark.alone
def test_it_hears_of_a_new_run_at_once(parts, ann, site, library):
    library.add("true.md", runbook_source(name="true", script="true"))
    parts.started("runner")
    for number in range(1, 7):
        ann.execute("true.md")
        until(lambda number=number: states(site) == ["succeeded"] * number)
    waited = sorted(moment(began) - moment(asked) for asked, began in site.query("queued_at, started_at"))
    assert waited[3].total_seconds() < 0.5  # it looks by itself every two seconds


def test_a_run_goes_on_when_its_runner_is_killed(parts, ann, site, go):
    runner = parts.started("runner")
    ann.execute("wait.md")
    until(lambda: (site.data / "runs/1/log").exists() and "begun" in site.printed(1))
    kill(runner)
    parts.started("runner")
    go.touch()
    until(lambda: states(site) == ["succeeded"])


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
