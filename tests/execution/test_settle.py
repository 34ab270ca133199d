"""How the end of a run is recorded: in its row, in the runbook's History, and by what is kept of its files."""

import os
import signal
import time

from runbooks.execution import folder
from runbooks.execution.runner import settle_if_ended
from runbooks.execution.settle import settle
from runbooks.models import Run, State

from .supervising import supervisors_in, until


def history(library, path: str = "restart.md") -> str:
    return (library.root / path).read_text().partition("# History\n")[2]


def test_the_row_says_how_the_run_ended(a_run, finish):
    run = finish(a_run("echo hello; exit 3"))
    assert (run.state, run.return_code, run.killed, run.warnings) == (State.FAILED, 3, 0, [])
    assert run.started_at <= run.ended_at


def test_the_history_has_who_when_how_and_what_was_printed(a_run, finish, library):
    run = finish(a_run("echo hello; echo trouble >&2; exit 3"))
    entry = history(library)
    assert f"## {run.ended_at:%Y-%m-%d %H:%M:%S} UTC: failed, exit code 3\n\nRun {run.pk} by `alice`" in entry
    assert "stdout:\n\n```text\nhello\n```" in entry
    assert "stderr:\n\n```text\ntrouble\n```" in entry


def test_settling_a_second_time_changes_nothing(a_run, begin, library):
    run = a_run()
    begin(run).wait()
    late = Run.objects.get()
    settle(run, folder.read_result(run.folder))
    before = history(library)
    settle(late, None)
    assert history(library) == before
    assert Run.objects.get().state == State.SUCCEEDED


def test_a_runbook_that_has_become_a_link_to_itself_has_no_history(a_run, finish, library):
    run = a_run()
    (library.root / "restart.md").unlink()
    (library.root / "restart.md").symlink_to("restart.md")
    assert finish(run).state == State.SUCCEEDED


def test_a_result_that_cannot_be_read_is_none(a_run, begin):
    run = a_run()
    begin(run).wait()
    for damaged in (b"", b"\xff\xfe", b"state succeeded\n", b"state x\nreturn_code y\n"):
        (run.folder / "result").write_bytes(damaged)
        assert folder.read_result(run.folder) is None
    assert settle_if_ended(run)
    assert Run.objects.get().state == State.LOST


def test_a_read_only_runbook_is_a_warning_and_no_failure(a_run, finish, library):
    run = a_run()
    file = library.root / "restart.md"
    file.chmod(0o444)
    run, before = finish(run), file.read_text()
    assert (run.state, run.warnings) == (State.SUCCEEDED, ["History was not written: restart.md is read-only."])
    assert "Run" not in before.partition("# History")[2]


def test_so_is_a_read_only_folder(a_run, finish, library):
    run = a_run(name="restart")
    library.root.chmod(0o555)
    try:
        run = finish(run)
    finally:
        library.root.chmod(0o755)
    assert (run.state, run.warnings) == (
        State.SUCCEEDED,
        ["History was not written: The folder of restart.md is read-only."],
    )


def test_a_runbook_that_has_become_a_folder_or_is_gone_has_no_history(a_run, finish, library):
    run = a_run()
    (library.root / "restart.md").unlink()
    (library.root / "restart.md").mkdir()
    assert (finish(run).state, list((library.root / "restart.md").iterdir())) == (State.SUCCEEDED, [])


def test_a_run_whose_supervisor_was_killed_is_lost(a_run, begin, library, settings):
    run = a_run("echo started; sleep 60")
    begin(run)
    until(lambda: b"started" in run.log.read_bytes())
    assert not settle_if_ended(run)
    os.kill(supervisors_in(settings.DATA_DIR)[0], signal.SIGKILL)
    until(lambda: settle_if_ended(run))
    run.refresh_from_db()
    assert (run.state, run.return_code, run.ended_at is None) == (State.LOST, None, False)
    assert "lost, no exit code" in history(library)


def test_a_run_that_was_asked_to_end_before_its_script_began_is_cancelled(a_run):
    run = a_run()
    run.take()
    run.move(State.RUNNING, cancelled_by="alice", cancelled_at=run.started_at)
    assert settle_if_ended(run)
    assert Run.objects.get().state == State.CANCELLED


def test_a_run_whose_supervisor_failed_before_its_script_began_has_failed(a_run):
    run = a_run()
    run.take()
    (run.folder / "supervisor.err").write_text("Traceback\nModuleNotFoundError: No module named 'select'\n")
    assert settle_if_ended(run)
    assert (Run.objects.get().state, Run.objects.get().return_code) == (State.FAILED, 127)
    assert b"could not start: the supervisor failed: ModuleNotFoundError" in run.log.read_bytes()


def test_the_end_is_never_before_the_start_although_clocks_differ(a_run):
    run = a_run()
    run.take()
    settle(run, folder.Result(State.SUCCEEDED, 0, time.time() - 3600))
    assert Run.objects.get().seconds == 0
