"""How a queued run becomes a supervised script: its folder, its files, its environment, its secrets."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from runbooks.access.actor import Actor
from runbooks.execution import environment, folder, launch, sealing
from runbooks.execution.control import cancel_run
from runbooks.execution.runner import settle_if_ended, start
from runbooks.models import Run, State
from runbooks.output.entries import parse
from runbooks.output.follow import Reader
from tests.processes import read_from_outside

from .conftest import launched
from .supervising import until

SHOW_ENVIRONMENT = "tr '\\0' '\\n' < /proc/self/environ"
FILES = "Input:\n- data/hosts.txt\n- templates\nOutput:\n- report.txt\n"


def printed(run: Run, stream: str = "stdout") -> str:
    return "".join(f"{e.content.decode()}\n" for e in parse(run.log.read_bytes()) if e.stream == stream)


def test_a_launched_run_prints_into_its_log(a_run, finish):
    run = finish(a_run("echo hello; exit 3"))
    assert (run.state, run.return_code, printed(run)) == (State.FAILED, 3, "hello\n")
    assert run.queued_at <= run.started_at <= run.ended_at <= timezone.now()


def test_inputs_are_copied_with_their_relative_paths(a_run, finish, library):
    library.add("data/hosts.txt", "web-1")
    library.add("templates/deep/page.txt", "page")
    run = finish(a_run("find . -type f | sort; cat data/hosts.txt; echo changed > data/hosts.txt", files=FILES))
    assert printed(run) == "./data/hosts.txt\n./templates/deep/page.txt\nweb-1\n"
    assert (library.root / "data/hosts.txt").read_text() == "web-1"


def test_the_script_runs_in_a_folder_of_its_own(a_run, finish, settings):
    run = finish(a_run("pwd; ls -A"))
    assert printed(run) == f"{settings.EXECUTION_DIR}/{run.pk}\n"


def test_its_environment_is_built_from_nothing(a_run, finish, monkeypatch):
    monkeypatch.setenv("SERVERS_OWN", "1")
    run = finish(a_run(SHOW_ENVIRONMENT, requirements={"REPLICA": "which one"}, values={"REPLICA": "db-2"}))
    names = {line.partition("=")[0] for line in printed(run).splitlines() if "=" in line}
    own = environment.own_values(run, token="")
    assert names <= {*environment.INHERITED, *environment.FIXED, *own, "REPLICA", "TEST_MARK", "PWD"}
    assert f"REPLICA=db-2\nRUNBOOK_RUN_ID={run.pk}\n" in printed(run)


def test_script_env_lets_variables_through_by_glob_but_never_refused_names(a_run, finish, monkeypatch, settings):
    settings.SCRIPT_ENV = ("*",)
    for name in ("REGION", "LD_DEBUG_OUTPUT", "BASH_ENV", "PYTHONSTARTUP", "RUNBOOK_API_TOKEN", "GIT_DIR"):
        monkeypatch.setenv(name, "from the server")
    run = finish(a_run(SHOW_ENVIRONMENT))
    assert [line for line in printed(run).splitlines() if "from the server" in line] == ["REGION=from the server"]


def test_a_value_comes_before_what_the_server_provides(a_run, finish, monkeypatch, settings):
    settings.SCRIPT_ENV = (*settings.SCRIPT_ENV, "REGION")
    monkeypatch.setenv("REGION", "from the server")
    run = finish(a_run("echo $REGION", requirements={"REGION": "where"}, values={"REGION": "mine"}))
    assert printed(run) == "mine\n"


def test_a_secret_that_the_server_provides_is_masked(a_run, finish, monkeypatch, settings):
    settings.SCRIPT_ENV = (*settings.SCRIPT_ENV, "DEPLOY_TOKEN")
    monkeypatch.setenv("DEPLOY_TOKEN", "opensesame")
    run = finish(a_run("echo $DEPLOY_TOKEN | tee proof; wc -c < proof"))
    assert printed(run) == "***\n11\n"


def test_secrets_are_encrypted_while_queued_and_gone_once_started(a_run, begin, database):
    run = a_run("sleep 60", requirements={"PASSWORD": "of the replica"}, values={"PASSWORD": "opensesame"})
    assert run.values == {"PASSWORD": sealing.SHOWN}
    assert bytes(run.sealed_values)
    assert b"opensesame" not in everything_in(database)
    assert begin(run)
    until(lambda: folder.has_started(run.folder))
    assert not settle_if_ended(run)
    assert Run.objects.get().sealed_values is None


def test_a_run_that_must_be_started_again_still_has_its_secrets(a_run, finish, monkeypatch):
    run = a_run("echo ${#PASSWORD}", requirements={"PASSWORD": ""}, values={"PASSWORD": "opensesame"})
    with monkeypatch.context() as broken:  # as when the server dies in the middle of a start
        broken.setattr(launch.marshal, "dumps", lambda specification: b"")
        launched(run).wait()
    assert not folder.has_started(run.folder)
    assert settle_if_ended(run)
    run = Run.objects.get()
    assert run.state == State.QUEUED
    assert printed(finish(run)) == "10\n"


def test_half_a_specification_starts_nothing_and_the_run_is_queued_again(a_run, finish, monkeypatch):
    run, dumps = a_run(), launch.marshal.dumps
    with monkeypatch.context() as broken:
        broken.setattr(launch.marshal, "dumps", lambda specification: dumps(specification)[:-9])
        launched(run).wait()
    assert settle_if_ended(run)
    assert (Run.objects.get().state, folder.complaint(run.folder)) == (State.QUEUED, "")
    assert finish(Run.objects.get()).state == State.SUCCEEDED


def test_what_has_begun_is_not_begun_again_whatever_the_row_says(a_run, begin):
    """A power cut may take the last changes from the database, and leave the files."""
    run = a_run("echo begun >> ../begun")
    begin(run).wait()
    Run.objects.update(state=State.QUEUED, started_at=None)
    again = Run.objects.get()
    assert launched(again) is None
    assert settle_if_ended(again)
    assert Run.objects.get().state == State.SUCCEEDED


def test_no_glob_gives_the_servers_own_secrets_away(a_run, finish, monkeypatch, settings):
    settings.SCRIPT_ENV = ("*",)
    monkeypatch.setenv("SECRET_KEY", "the server's own")
    assert "SECRET_KEY" not in environment.provided_values()
    assert printed(finish(a_run('echo "<${SECRET_KEY-}>"'))) == "<>\n"


def test_a_secret_is_in_no_file_of_the_run(a_run, finish, settings):
    run = a_run(
        "echo $PASSWORD; printf %s $PASSWORD | wc -c", requirements={"PASSWORD": ""}, values={"PASSWORD": "opensesame"}
    )
    finish(run)
    assert printed(run) == "***\n10\n"
    files = [file for file in settings.DATA_DIR.rglob("*") if file.is_file()]
    assert {"log", "result", "started", "lock"} <= {file.name for file in files}
    assert not any(b"opensesame" in file.read_bytes() for file in files)


def test_a_run_whose_secrets_cannot_be_read_any_more_fails_and_says_why(a_run, settings):
    run = a_run(requirements={"PASSWORD": ""}, values={"PASSWORD": "opensesame"})
    settings.SECRET_KEY = "another"
    assert launched(run) is None
    assert_it_could_not_start(run, "SECRET_KEY has changed")


def test_a_missing_interpreter_is_the_reason_of_a_failed_run(a_run):
    run = a_run()
    run.move(State.QUEUED, source=run.source.replace("```sh", "```cobol"))
    assert launched(run) is None
    assert_it_could_not_start(run, "No interpreter is known for 'cobol'")


def test_so_is_an_input_file_that_has_gone(a_run, library):
    file = library.add("data/hosts.txt", "web-1")
    run = a_run(files="Input:\n- data/hosts.txt\n")
    file.unlink()
    assert launched(run) is None
    assert_it_could_not_start(run, "data/hosts.txt does not exist beside the runbook.")


def test_so_is_a_runbook_without_a_script(a_run):
    run = a_run()
    run.move(State.QUEUED, source="# restart\n")
    assert launched(run) is None
    assert_it_could_not_start(run, "the runbook has no script")


def test_so_is_a_working_folder_that_cannot_be_made(a_run, settings):
    run = a_run()
    settings.EXECUTION_DIR.write_text("a file is in the way")
    assert launched(run) is None
    assert_it_could_not_start(run, str(settings.EXECUTION_DIR))


def test_an_older_log_in_the_folder_is_not_part_of_the_new_run(a_run, finish, settings):
    folder = settings.DATA_DIR / "runs" / str(a_run().pk + 1)
    folder.mkdir(parents=True)
    (folder / "log").write_text("of a database that is no more\n")
    run = finish(a_run())
    assert run.folder == folder
    assert printed(run) == "hello\n"
    assert [old.joinpath("log").read_text() for old in folder.parent.glob("*.before-*")] == [
        "of a database that is no more\n"
    ]


def test_two_launches_at_once_start_one_script(a_run, finish):
    with ThreadPoolExecutor(max_workers=4) as threads:
        for _ in range(20):
            run = a_run("echo $$ >> started; cat started")
            copies = [Run.objects.get(pk=run.pk) for _ in range(4)]
            supervisors = [one for one in threads.map(launched_in_a_thread, copies) if one]
            assert len(supervisors) == 1
            supervisors[0].wait()
            assert printed(run).count("\n") == 1


def test_who_lost_the_race_leaves_the_row_alone(a_run):
    run = a_run()
    late = Run.objects.get()
    assert run.take()
    assert not late.take()
    assert late.state == State.QUEUED
    assert not late.move(State.QUEUED, state=State.CANCELLED)
    assert Run.objects.get().state == State.RUNNING


def test_a_cancelled_run_is_not_launched(a_run):
    run = a_run()
    Run.objects.update(state=State.CANCELLED)
    assert launched(run) is None
    assert not folder.has_started(run.folder)
    assert not folder.is_alive(run.folder)


def test_the_run_is_closed_to_other_users(a_run, begin):
    run = a_run("sleep 60")
    begin(run)
    modes = [oct(path.stat().st_mode & 0o777) for path in (run.folder.parent, run.folder, run.work.parent, run.work)]
    assert modes == ["0o700"] * 4


def launched_in_a_thread(run: Run):
    try:
        return launched(run)
    finally:
        connection.close()


def everything_in(database) -> bytes:
    """The bytes of the database's files, the write-ahead log included."""
    return read_from_outside(*database.parent.glob(f"{database.name}*"))


def assert_it_could_not_start(run: Run, reason: str) -> None:
    assert (run.state, run.return_code) == (State.FAILED, 127)
    assert printed(run, "stderr").startswith("[runbook] could not start: ")
    assert reason in printed(run, "stderr")
    assert not folder.is_alive(run.folder)


def test_a_database_that_fails_at_the_take_leaves_no_lock_behind(a_run, finish, monkeypatch):
    run = a_run()
    with monkeypatch.context() as locked:
        locked.setattr(Run, "take", lambda run: (_ for _ in ()).throw(OperationalError("database is locked")))
        with pytest.raises(OperationalError):
            launch.take(run)
    assert not folder.is_alive(run.folder)
    assert finish(run).state == State.SUCCEEDED


def test_too_many_open_files_say_nothing_about_a_run(a_run, begin, monkeypatch):
    run = a_run("sleep 60")
    begin(run)
    with monkeypatch.context() as exhausted:
        exhausted.setattr(folder, "open_regular", lambda path: (_ for _ in ()).throw(OSError(errno.EMFILE, "too many")))
        with pytest.raises(OSError, match="too many"):
            settle_if_ended(run)
    assert Run.objects.get().state == State.RUNNING


def test_a_reason_that_finds_no_place_in_the_log_is_no_reason_to_try_again(a_run):
    run = a_run()
    run.move(State.QUEUED, source="# restart\n")
    run.log.unlink()
    run.log.symlink_to("/dev/full")
    assert launched(run) is None
    assert (run.state, run.return_code) == (State.FAILED, 127)


def test_a_run_that_is_cancelled_while_its_start_is_prepared_never_begins(a_run):
    run = a_run("echo begun >> ../begun")
    lock = launch.take(run)
    cancel_run(Actor("bob"), Run.objects.get())
    assert start(run, lock) is None
    assert (run.state, run.return_code, folder.has_started(run.folder)) == (State.CANCELLED, None, False)
    assert "cancelled by bob" in printed(run, "stderr")


@pytest.mark.parametrize("name", ["result", "lock", "log"])
def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(a_run, name):
    run = a_run()
    (run.folder / name).unlink(missing_ok=True)
    os.mkfifo(run.folder / name)
    assert folder.read_result(run.folder) is None
    assert not folder.is_alive(run.folder)
    assert Reader(run).read() is None
