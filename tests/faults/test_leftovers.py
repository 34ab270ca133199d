"""What a script leaves behind when its supervisor is killed is ended, and nothing of anybody else's."""

import os
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runbooks.execution import folder, leftovers
from runbooks.execution.leftovers import LeftAlone, end_leftovers
from runbooks.execution.runner import settle_if_ended
from runbooks.models import Run, State
from tests.execution.supervising import MARK, kill, processes_with, until

RUN = 7
NAMED = {"RUNBOOK_RUN_ID": str(RUN)}
NO_BOOT = f"pid {os.getpid()}\nstart 0\nboot \n"  # as where there is no /proc
# Every process of it lives for a moment only, and starts the next.
COMET = "hop() { sleep 0.03; hop & }; hop & sleep 60"


class Session:
    """A session as a script's, whose supervisor was killed and has left FOLDER/started."""

    def __init__(self, folder: Path, script: str, **options: object):
        self.folder, self.mark = folder, uuid.uuid4().hex
        options["env"] = {"PATH": os.environ["PATH"], MARK: self.mark, **options.get("env", NAMED)}
        self.main = subprocess.Popen(["/bin/sh", "-c", script], start_new_session=True, **options)
        self.started = leftovers.process_of(self.main.pid).start
        self.write()

    def write(self, **changes: object) -> None:
        facts = {"pid": self.main.pid, "start": self.started, "boot": leftovers.boot_id(), "supervisor": 1} | changes
        (self.folder / "started").write_text("".join(f"{name} {value}\n" for name, value in facts.items()))

    def has(self, count: int) -> "Session":
        until(lambda: len(processes_with(self.mark)) == count)
        return self

    def without_main(self) -> "Session":
        """When its main process has died, and nothing remembers its number but the rest of the session."""
        self.main.kill()
        self.main.wait()
        return self

    def clean_up(self) -> None:
        until(lambda: not [kill(pid) for pid in processes_with(self.mark)])
        self.main.wait()


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Callable[..., Session]]:
    """Start a session; whatever is left of it goes after the test."""
    started = []

    def session(script: str, **options: object) -> Session:
        started.append(Session(tmp_path, script, **options))
        return started[-1]

    yield session
    for one in started:
        one.clean_up()


@pytest.fixture
def orphan(begin) -> Callable[[Run], Run]:
    """Launch a run that prints "ready", and kill its supervisor then."""

    def orphan(run: Run) -> Run:
        begin(run)
        until(lambda: b" ready\n" in run.log.read_bytes())
        facts = dict(line.split() for line in (run.folder / "started").read_text().splitlines())
        os.kill(int(facts["supervisor"]), signal.SIGKILL)
        until(lambda: not folder.is_alive(run.folder))
        return run

    return orphan


def test_what_a_killed_supervisor_leaves_behind_is_ended_before_the_run_is_lost(a_run, orphan, mark):
    run = orphan(a_run("sleep 60 & sleep 60 & echo ready; wait"))
    assert settle_if_ended(run)
    assert processes_with(mark) == []
    run.refresh_from_db()
    assert (run.state, run.killed) == (State.LOST, 2)
    assert "2 of its processes were still there, and were ended." in run.warnings


def test_the_page_of_a_lost_run_says_what_is_known(a_run, orphan, alice_client):
    run = orphan(a_run("(exec sleep 60) & echo ready; while :; do :; done"))
    settle_if_ended(run)
    page = alice_client.get(run.get_absolute_url()).text
    assert "Its supervisor ended without a word: it was killed, or the machine or its container stopped." in page
    assert f"The last line of its log was printed at {run.started_at:%Y-%m-%d %H:}" in page
    assert "was still there, and was ended." in page


def test_a_lost_run_that_had_printed_nothing_says_so(a_run, orphan):
    run = orphan(a_run("echo ready; sleep 60"))
    run.log.write_bytes(b"")
    settle_if_ended(run)
    assert run.warnings[1] == "It had printed nothing."


@pytest.mark.parametrize(("end", "is_told"), [(b"half an ent", True), (b"another program's line\n", False)])
def test_the_last_line_is_the_last_whole_one_and_the_supervisors(a_run, orphan, end, is_told):
    run = orphan(a_run("echo ready; sleep 60"))
    run.log.write_bytes(b"2026-11-22T16:24:01.000100Z stdout F ready\n" + end)
    settle_if_ended(run)
    told = [warning for warning in run.warnings if "printed" in warning]
    assert told == ["The last line of its log was printed at 2026-11-22 16:24:01 UTC."] * is_told


def test_a_run_that_another_life_of_the_machine_began_says_so(a_run, orphan):
    run = orphan(a_run("echo ready; sleep 60"))
    started = (run.folder / "started").read_text()
    (run.folder / "started").write_text(started.replace(leftovers.boot_id(), str(uuid.uuid4())))
    settle_if_ended(run)
    assert run.warnings[0].startswith("The machine stopped while it ran, and has started anew since")


def test_a_run_whose_folder_was_deleted_says_so(a_run, orphan):
    run = orphan(a_run("echo ready; sleep 60"))
    run.folder.rename(run.folder.with_name("elsewhere"))
    settle_if_ended(run)
    assert run.warnings == ["Its folder was deleted while it ran, and what it printed with it."]


@pytest.mark.parametrize(
    "script", ["sleep 60 & sleep 60", "set -m; sleep 60 & sleep 60", "trap '' TERM; sleep 60 & wait"]
)
def test_the_session_of_the_main_process_is_ended(session, tmp_path, script):
    left = session(script).has(3 if script.endswith("sleep 60") else 2)
    expected = len(processes_with(left.mark))
    assert end_leftovers(tmp_path, run=RUN) == expected
    assert processes_with(left.mark) == []


def test_without_its_main_process_a_session_is_known_by_the_environment(session, tmp_path):
    left = session("sleep 60 & sleep 60 & wait").has(3).without_main()
    assert end_leftovers(tmp_path, run=RUN) == 2
    assert processes_with(left.mark) == []


def test_or_by_the_working_folder(session, tmp_path, settings):
    work = settings.EXECUTION_DIR / str(RUN) / "deep"
    work.mkdir(parents=True)
    left = session("sleep 60 & wait", env={}, cwd=work).has(2).without_main()
    assert end_leftovers(tmp_path, run=RUN) == 1
    assert processes_with(left.mark) == []


def test_what_nothing_is_known_of_is_left_alone_and_named(session, tmp_path):
    left = session("sleep 60 & wait", env={"RUNBOOK_RUN_ID": "77"}).has(2).without_main()
    with pytest.raises(LeftAlone, match=str(processes_with(left.mark)[0])):
        end_leftovers(tmp_path, run=RUN)
    assert len(processes_with(left.mark)) == 1


@pytest.mark.parametrize("changes", [{"start": 1}, {"start": 10**15}, {"boot": uuid.uuid4()}])
def test_a_main_process_of_the_same_number_that_began_at_another_time_is_somebody_else(session, tmp_path, changes):
    left = session("sleep 60 & sleep 60").has(3)
    left.write(**changes)
    assert end_leftovers(tmp_path, run=RUN) == 0
    assert len(processes_with(left.mark)) == 3


def test_who_began_before_the_script_is_not_of_its_session(session, tmp_path):
    left = session("sleep 60 & wait").has(2).without_main()
    left.write(start=left.started + 10**6)
    assert end_leftovers(tmp_path, run=RUN) == 0
    assert len(processes_with(left.mark)) == 1


def test_who_left_the_session_on_purpose_goes_on(session, tmp_path):
    left = session("setsid sleep 60 & sleep 60").has(3)
    until(
        lambda: any(
            leftovers.process_of(pid).session == pid for pid in processes_with(left.mark) if pid != left.main.pid
        )
    )
    assert end_leftovers(tmp_path, run=RUN) == 2
    assert len(processes_with(left.mark)) == 1


@pytest.mark.parametrize("has_main", [True, False])
def test_processes_that_start_others_while_they_are_ended_are_ended_too(session, tmp_path, has_main):
    left = session(COMET)
    until(lambda: len(processes_with(left.mark)) > 1)
    if not has_main:
        left.without_main()
    assert end_leftovers(tmp_path, run=RUN) > 0
    assert processes_with(left.mark) == []


def test_the_main_process_dies_by_itself_and_is_not_counted(session, tmp_path):
    left = session("sleep 60 & wait").has(2)
    left.main.kill()  # a zombie now, as long as nobody has waited for it
    assert end_leftovers(tmp_path, run=RUN) == 1


@pytest.mark.parametrize(
    "text",
    [
        *("", "pid 1\nstart 0\nboot b\n", "pid x\nstart 1\nboot b\n", "\0\xff", "pid 7\n"),
        pytest.param(NO_BOOT, id="of no boot"),
    ],
)
def test_a_file_that_names_no_process_is_no_trouble(tmp_path, text):
    (tmp_path / "started").write_text(text, encoding="latin-1")
    assert end_leftovers(tmp_path, run=RUN) == 0


def test_nor_is_one_that_would_be_waited_for(tmp_path):
    os.mkfifo(tmp_path / "started")
    assert end_leftovers(tmp_path, run=RUN) == 0


def test_a_run_is_settled_whatever_goes_wrong_with_its_processes(a_run, orphan, monkeypatch):
    run = orphan(a_run("echo ready; sleep 60"))
    monkeypatch.setattr(leftovers, "PROC", Path("/nowhere"))
    monkeypatch.setattr(leftovers, "boot_id", lambda: leftovers.script_of(run.folder).boot)
    settle_if_ended(run)
    assert (run.state, run.warnings[-1]) == (State.LOST, "Whether processes of it still go on could not be found out.")
