"""Two hundred kill -9 at random moments, for every process that there is; then the truth is told of every run.

FAULT_SEED repeats the kills of a run that failed; its seed is printed.
"""

import contextlib
import os
import random
import re
import shutil
import sqlite3
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import httpx
import pytest

from tests.conftest import runbook_source
from tests.execution.supervising import MARK, processes_with, supervisors_in
from tests.faults.battle import Battle
from tests.faults.parts import parts_of
from tests.processes import until
from tests.serving import Site

KILLS = {"supervisor": 85, "script": 85, "forkserver": 10, "server": 7, "runner": 7, "both": 6}
# Each prints the same numbers to both streams, and its last act is to say so.
SCRIPT = """\
track={tracks}/$RUNBOOK_RUN_ID
echo begun >> $track
{before}
n=0
while [ $n -lt {lines} ]; do
  n=$((n + 1))
  echo $n
  echo $n >&2
  {between}
done
echo $n > out.txt
echo done >> $track"""
KINDS = {
    "fast": {"lines": 400, "before": "sleep 0.3", "between": ":"},
    "slow": {"lines": 25, "before": ":", "between": "sleep 0.06"},
    "family": {"lines": 15, "before": "sleep 60 & (sleep 60 & sleep 60) &", "between": "sleep 0.1"},
}
COPIES = 3  # of each: their Histories are not that long then


@dataclass(frozen=True)
class Aftermath:
    """What is to be seen when everything has come to rest."""

    battle: Battle
    mark: str

    @cached_property
    def states(self) -> dict[int, tuple[str, int | None, str]]:
        """State, return code and runbook of each run."""
        return {run: facts for run, *facts in self.battle.site.query("id, state, return_code, runbook")}

    def in_state(self, state: str) -> set[int]:
        return {run for run, (stands, *_) in self.states.items() if stands == state}

    def struck(self, part: str) -> set[int]:
        return {blow.run for blow in self.battle.blows if blow.part == part}

    def kind(self, run: int) -> dict[str, object]:
        return KINDS[self.states[run][2].partition("-")[0]]

    def log(self, run: int) -> bytes:
        return (self.battle.site.data / f"runs/{run}/log").read_bytes()

    def numbers(self, run: int, stream: str) -> list[int]:
        entries = re.findall(rb"^.{27} %b F (?!\[runbook\] )(.*)\n" % stream.encode(), self.log(run), re.MULTILINE)
        return [int(entry) for entry in entries]

    def told(self, run: int) -> list[object]:
        """All that there is to tell of a run, for who wants to know what went wrong."""
        folder = self.battle.site.data / f"runs/{run}"
        files = [(file.name, file.read_bytes().strip(b"\0")[-500:]) for file in folder.iterdir() if file.is_file()]
        blows = [replace(blow, log=blow.log[-200:]) for blow in self.battle.blows if blow.run == run]
        rows = self.battle.site.query("id, state, return_code, started_at, ended_at, warnings")
        return [next(row for row in rows if row[0] == run), blows, files]

    def page(self, run: int) -> str:
        with httpx.Client(base_url=f"http://127.0.0.1:{self.battle.parts.port}", follow_redirects=True) as person:
            form = person.get("/login/").text
            token = form.partition('csrfmiddlewaretoken" value="')[2].partition('"')[0]
            person.post("/login/", data={"csrfmiddlewaretoken": token, "subject": "ann", "roles": ""})
            return person.get(f"/runs/{run}/").text


@pytest.fixture(scope="module")
def aftermath(request, migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    folder, seed = tmp_path_factory.mktemp("crashes"), int(os.environ.get("FAULT_SEED") or random.randrange(10**6))
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\nFAULT_SEED={seed}")
    site, mark = Site(folder / "data", folder / "runbooks"), uuid.uuid4().hex
    for each in (site.data, site.runbooks, folder / "tracks"):
        each.mkdir()
    shutil.copy(migrated, site.data)
    with parts_of(site, **{MARK: mark}, SCRIPT_ENV=MARK, MAX_CONCURRENT_RUNS="10", HISTORY_ENTRIES="1000") as parts:
        battle = Battle(site, parts, runbooks=runbooks(site, folder / "tracks"), tracks=folder / "tracks", seed=seed)
        blows = [part for part, count in KILLS.items() for _ in range(count)]
        battle.random.shuffle(blows)
        for part in blows:
            battle.strike(part)
        battle.calm()
        yield Aftermath(battle, mark)
    until(lambda: not supervisors_in(site.data))


def runbooks(site: Site, tracks: Path) -> list[str]:
    names = [f"{kind}-{number}" for kind in KINDS for number in range(COPIES)]
    for name in names:
        script = SCRIPT.format(tracks=tracks, **KINDS[name.partition("-")[0]])
        source = runbook_source(name=name, script=script, files="Output:\n- out.txt")
        (site.runbooks / f"{name}.md").write_text(source)
    return [f"{name}.md" for name in names]


def test_every_kill_was_one(aftermath):
    assert aftermath.battle.kills >= sum(KILLS.values()) == 200
    assert Counter(blow.part for blow in aftermath.battle.blows) == {"supervisor": 85, "script": 85}


def test_every_run_has_ended_in_one_of_three_ways(aftermath):
    assert {state for state, *_ in aftermath.states.values()} <= {"succeeded", "failed", "lost"}


def test_every_start_that_was_asked_for_again_and_again_is_one_run(aftermath):
    runs = sorted(aftermath.battle.runs.values())
    assert runs == sorted(aftermath.states)
    assert len(set(runs)) == len(aftermath.battle.keys)


def test_no_script_ran_twice(aftermath):
    # Not at all, if it was killed before its first act.
    assert {run for run in aftermath.states if aftermath.battle.track(run).count("begun") > 1} == set()


def test_every_success_is_true(aftermath):
    for run in aftermath.in_state("succeeded"):
        everything = list(range(1, aftermath.kind(run)["lines"] + 1))
        assert aftermath.battle.track(run) == ["begun", "done"], run
        assert [aftermath.numbers(run, stream) for stream in ("stdout", "stderr")] == [everything] * 2, run
        assert aftermath.states[run][1] == 0, run


def test_the_outputs_of_every_success_are_kept(aftermath):
    for run in aftermath.in_state("succeeded"):
        output = aftermath.battle.site.data / f"runs/{run}/outputs/out.txt"
        assert int(output.read_text()) == aftermath.kind(run)["lines"], run


def test_whose_run_was_not_struck_has_succeeded(aftermath):
    struck = aftermath.struck("supervisor") | aftermath.struck("script")
    assert set(aftermath.states) - struck <= aftermath.in_state("succeeded")


def test_every_run_is_lost_whose_supervisor_was_killed_between_start_and_result_and_no_other(aftermath):
    blows = [blow for blow in aftermath.battle.blows if blow.part == "supervisor"]
    expected = {blow.run for blow in blows if blow.had_begun and not blow.had_result}
    assert [aftermath.told(run) for run in aftermath.in_state("lost") ^ expected] == []


def test_every_killed_script_has_failed_with_137(aftermath):
    killed = {blow.run for blow in aftermath.battle.blows if blow.part == "script" and not blow.was_complete}
    for run in killed - aftermath.in_state("lost"):
        assert aftermath.states[run][:2] == ["failed", 137], run
    assert aftermath.in_state("failed") <= killed


def test_no_log_has_a_gap(aftermath):
    for run in aftermath.states:
        for stream in ("stdout", "stderr"):
            numbers = aftermath.numbers(run, stream)
            assert numbers == list(range(1, len(numbers) + 1)), (run, stream)


def test_what_was_in_a_log_before_a_kill_is_in_it_afterwards(aftermath):
    assert [blow.run for blow in aftermath.battle.blows if not aftermath.log(blow.run).startswith(blow.log)] == []


def test_nothing_of_any_script_is_left(aftermath):
    servers = {process.process.pid for process in aftermath.battle.parts.processes}
    until(lambda: set(processes_with(aftermath.mark)) <= servers)


def test_the_history_has_each_run_once(aftermath):
    histories = "".join(file.read_text() for file in aftermath.battle.site.runbooks.iterdir())
    told = Counter(int(run) for run in re.findall(r"^Run (\d+) by `ann`", histories, re.MULTILINE))
    assert told == dict.fromkeys(aftermath.states, 1)


def test_the_page_of_a_lost_run_says_what_is_known(aftermath):
    run = min(aftermath.in_state("lost"))
    page = aftermath.page(run)
    assert "Nobody knows how it ended" in page
    assert "Its supervisor ended without a word: it was killed, or the machine or its container stopped." in page
    assert "The last line of its log was printed at" in page or "It had printed nothing." in page


def test_no_working_folder_is_left(aftermath):
    aftermath.battle.strike("runner")  # the next one tidies up behind those that were killed
    until(lambda: list((aftermath.battle.site.data / "work").iterdir()) == [])


def test_neither_server_nor_runner_complained(aftermath):
    assert list(aftermath.battle.parts.complaints()) == []


def test_the_database_is_whole(aftermath):
    with contextlib.closing(sqlite3.connect(aftermath.battle.site.data / "db.sqlite3")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
