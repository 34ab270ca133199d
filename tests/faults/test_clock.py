"""The machine's clock jumps by an hour while everything goes on: nobody notices, but for the times that are shown.

Each jump is done once, under a server with streams; the tests look at what came of it.
"""

import re
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection, connect

from runbooks.models import State
from tests.conftest import runbook_source
from tests.execution.supervising import seconds
from tests.faults.clock import HOUR, Clock
from tests.faults.person import Person, signed_in_person
from tests.processes import Process, until
from tests.serving import Site

COUNT = "n=0; until [ -e {} ]; do n=$((n + 1)); echo line $n; sleep 0.02; done"
# How far it is ahead before, and after; some servers close a socket that is older than a day.
JUMPS = {"back": (HOUR, 0), "forward": (0, 48 * HOUR)}


@dataclass
class Jump:
    """What a person has seen, and what is there when all is over."""

    ahead: float = 0.0  # how far the server's clock is ahead of ours after the jump
    streamed: dict[str, str] = field(default_factory=dict)
    heartbeat_after: float = 0.0  # seconds
    has_ended: bool = False  # the stream of the quiet run
    statuses: list[int] = field(default_factory=list)
    runs: list[tuple] = field(default_factory=list)
    printed: str = ""
    complaints: str = ""


@pytest.fixture(scope="module", params=JUMPS)
def jump(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Jump:
    folder, jump = tmp_path_factory.mktemp(request.param), Jump()
    site, clock, go = Site(folder / "data", folder / "runbooks"), Clock(folder / "clock"), folder / "go"
    site.data.mkdir()
    site.runbooks.mkdir()
    shutil.copy(migrated, site.data)
    for name, script in (("count", COUNT.format(go)), ("quiet", f"until [ -e {go} ]; do sleep 0.05; done")):
        (site.runbooks / f"{name}.md").write_text(runbook_source(name=name, script=script))
    before, after = JUMPS[request.param]
    clock.jump(before)
    with site.serving(**clock.environment) as server:
        person = signed_in_person(server)
        assert [person.start("count.md").status_code, person.start("quiet.md").status_code] == [302, 302]
        until(lambda: site.query("state") == [("running",)] * 2)
        with (
            person.stream("GET", "/runs/1/events/") as fragments,
            person.stream("GET", "/api/runs/1/events") as events,
            person.stream("GET", "/api/runs/2/events") as quiet,
            socket_of(person, server, "/api/runs/1/socket") as socket,
            ThreadPoolExecutor() as threads,
        ):
            heard = threads.submit("".join, socket)  # its library loses what is not read when the end comes
            quiet_lines = quiet.iter_lines()
            clock.jump(after)
            next_heartbeat(quiet_lines)
            began = time.monotonic()
            next_heartbeat(quiet_lines)
            jump.heartbeat_after = time.monotonic() - began
            jump.statuses = [person.get("/runs/").status_code, person.start("quiet.md").status_code]
            go.touch()
            jump.streamed = {"fragments": fragments.read().decode(), "events": events.read().decode()}
            jump.streamed["socket"] = heard.result()
            jump.has_ended = "event: done" in list(quiet_lines)
        until(lambda: [state for (state,) in site.query("state")] == ["succeeded"] * 3)
        jump.ahead = datetime.fromisoformat(site.query("queued_at")[2][0]).replace(tzinfo=UTC).timestamp() - time.time()
        jump.runs = site.query("return_code, ended_at >= started_at")
        jump.printed, jump.complaints = site.printed(1), server.complaints
    return jump


def socket_of(person: Person, server: Process, path: str) -> ClientConnection:
    cookie = f"runbookweb_session={person.cookies['runbookweb_session']}"
    address = f"127.0.0.1:{server.port}"
    return connect(f"ws://{address}{path}", origin=f"http://{address}", additional_headers={"Cookie": cookie})


def next_heartbeat(lines: Iterator[str]) -> None:
    next(line for line in lines if line.startswith(": ") and line != ": welcome")


def test_the_servers_clock_has_jumped(jump, request):
    _, after = JUMPS[request.node.callspec.params["jump"]]
    assert abs(jump.ahead - after) < HOUR / 2


def test_every_run_settles_and_none_ends_before_it_began(jump):
    assert jump.runs == [(0, 1)] * 3


@pytest.mark.parametrize("stream", ["fragments", "events", "socket"])
def test_a_stream_goes_on_and_neither_loses_a_line_nor_changes_the_order(jump, stream):
    printed = [int(number) for number in re.findall(r"line (\d+)", jump.printed)]
    assert printed == list(range(1, len(printed) + 1))
    assert [int(number) for number in re.findall(r"line (\d+)", jump.streamed[stream])] == printed


def test_heartbeats_come(jump):
    assert jump.heartbeat_after < 5
    assert jump.has_ended


def test_who_was_signed_in_stays_signed_in_and_may_start_runs(jump):
    assert jump.statuses == [200, 302]


def test_nothing_fails(jump):
    assert not re.findall('"(?:ERROR|WARNING|CRITICAL)"', jump.complaints)


@pytest.mark.parametrize("jump_by", [-HOUR, HOUR])
def test_a_script_keeps_its_timeout_and_the_log_its_order(supervise, tmp_path, jump_by):
    clock = Clock(tmp_path / "clock")
    script = "n=0; while :; do n=$((n + 1)); echo line $n; sleep 0.02; done"
    began = time.monotonic()
    supervised = supervise(script, timeout=1, supervisor=clock.supervisor).has_printed(b"line 10\n")
    clock.jump(jump_by)
    supervised.has_printed(b"line 20\n")
    result = supervised.ended()
    assert 1 <= time.monotonic() - began < 10
    assert (result.state, supervised.notes()) == (
        State.TIMED_OUT,
        ["[runbook] timed out after 1 s; the script has 5 s to end"],
    )
    entries = supervised.entries("stdout")
    assert [entry.content for entry in entries] == [b"line %d" % number for number in range(1, len(entries) + 1)]
    assert abs(seconds(entries[-1]) - seconds(entries[0]) - jump_by) < HOUR / 2


@pytest.mark.parametrize("jump_by", [-HOUR, HOUR])
def test_the_beginning_of_a_line_is_shown_as_soon_as_ever(supervise, tmp_path, jump_by):
    clock = Clock(tmp_path / "clock")
    supervised = supervise(
        f"echo begun; until [ -e {tmp_path}/go ]; do sleep 0.05; done; printf 'Go on? '; sleep 30",
        supervisor=clock.supervisor,
    )
    supervised.has_printed(b"begun")
    clock.jump(jump_by)
    (tmp_path / "go").touch()
    supervised.has_printed(b"Go on? ")
    supervised.tell(b"cancel ann\n")
    assert supervised.ended().state == State.CANCELLED
