"""How a run ends before its script wants to, and what becomes of the processes that the script has started."""

import signal

import pytest

from runbooks.models import State

from .supervising import status, until

# Killing the process group reaches only a part of this tree.
TREE = """
sleep 61 &
(sleep 62; true) &
setsid sleep 63 &
(setsid sh -c 'sleep 64 & sleep 65; true' &)
perl -e 'use POSIX; exit if fork; POSIX::setsid(); exit if fork; exec "sleep", 66' &
wait
"""
SLEEPS = [f"sleep {number}" for number in range(61, 67)]
DETACHED = "setsid sh -c 'touch ready; exec sleep 61' %s & until [ -e ready ]; do sleep 0.01; done"
LATE = (
    DETACHED.replace("exec sleep 61", "until [ -e go ]; do sleep 0.01; done; echo late") % "" + "; touch go; echo done"
)
TRAP = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done"
STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.05; done"


def test_a_script_that_takes_too_long_gets_a_term_signal(supervise):
    ended = supervise("sleep 60", timeout=0.2)
    result = ended.ended()
    assert (result.state, result.return_code, result.killed) == ("timed_out", 143, 0)
    assert ended.notes() == ["[runbook] timed out after 0.2 s; the script has 5 s to end"]


def test_one_that_tidies_up_in_time_has_timed_out_with_its_own_exit_code(supervise):
    ended = supervise(TRAP, timeout=0.5)
    result = ended.ended()
    assert (result.state, result.return_code, result.killed) == ("timed_out", 3, 0)
    assert ended.printed() == b"ready\nbye\n"


def test_one_that_ignores_the_term_signal_is_killed_after_the_grace(supervise):
    ended = supervise(STUBBORN, timeout=0.3, grace=0.3)
    result = ended.ended()
    assert (result.state, result.return_code) == ("timed_out", 137)
    assert result.killed >= 1
    assert ended.processes() == []


def test_a_timeout_reaches_processes_that_ignore_the_signal_in_other_sessions(supervise):
    ended = supervise("setsid sh -c \"trap '' TERM; while :; do sleep 0.05; done\" & wait", timeout=0.3, grace=0.3)
    assert ended.ended().state == "timed_out"
    assert ended.processes() == []


def test_a_script_that_ends_in_time_has_not_timed_out(supervise):
    assert supervise("sleep 0.2", timeout=20).ended().state == "succeeded"


def test_cancelling_ends_every_process_of_the_run(supervise):
    running = supervise(TREE)
    until(lambda: set(SLEEPS) <= set(running.commands()))
    running.tell(b"cancel alice\n")
    result = running.ended()
    assert result.state == "cancelled"
    assert running.processes() == []


def test_the_log_says_who_cancelled(supervise):
    running = supervise(TRAP).has_printed(b"ready")
    running.tell("cancel Ölga of ops\n".encode())
    assert running.ended().return_code == 3
    assert running.notes() == ["[runbook] cancelled by Ölga of ops; the script has 5 s to end"]


def test_killed_counts_those_that_had_to_be_killed(supervise):
    running = supervise("setsid sleep 61 & setsid sleep 62 & sleep 63 & wait")
    until(lambda: set(SLEEPS[:3]) <= set(running.commands()))
    running.tell(b"cancel alice\n")
    # The script and the sleep in its group obey the signal; the others are in sessions of their own.
    assert running.ended().killed == 2


def test_a_second_cancel_changes_nothing(supervise):
    running = supervise(
        "trap 'echo bye; until [ -e go ]; do sleep 0.01; done; exit 3' TERM; echo ready; sleep 60 & wait"
    )
    running.has_printed(b"ready").tell(b"cancel alice\n")
    running.has_printed(b"bye").tell(b"cancel bob\ncancel carol\n")
    (running.work / "go").touch()
    assert (running.ended().state, running.ended().return_code) == ("cancelled", 3)
    assert running.notes() == ["[runbook] cancelled by alice; the script has 5 s to end"]


@pytest.mark.parametrize("garbage", [b"\n", b"cancel", b"CANCEL x\n", b"\xff\xfe\n\0\n", b"stop now\n" * 1000])
def test_garbage_in_the_fifo_changes_nothing(supervise, garbage):
    running = supervise("echo ready; until [ -e go ]; do sleep 0.01; done; echo done").has_printed(b"ready")
    running.tell(garbage)
    (running.work / "go").touch()
    assert running.ended().state == "succeeded"
    assert running.notes() == []


def test_the_name_of_who_cancels_cannot_write_entries_of_its_own(supervise):
    running = supervise(TRAP).has_printed(b"ready")
    running.tell(b"cancel eve\x0bforged\x1cforged\xe2\x80\xa8forged\rforged\n")
    running.ended()
    assert len(running.notes()) == 1
    assert all(entry.time for entry in running.entries())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_supervisor_ends_the_script(supervise, number):
    running = supervise(TRAP).has_printed(b"ready")
    running.process.send_signal(number)
    assert (running.ended().state, running.ended().return_code) == ("cancelled", 3)
    assert running.notes() == ["[runbook] cancelled: the supervisor was told to stop; the script has 5 s to end"]


def test_a_hangup_ends_nothing(supervise):
    running = supervise("echo ready; until [ -e go ]; do sleep 0.01; done").has_printed(b"ready")
    running.process.send_signal(signal.SIGHUP)
    (running.work / "go").touch()
    assert running.ended().state == "succeeded"


def test_background_processes_of_the_group_end_with_the_script(supervise):
    ended = supervise("sleep 60 & sleep 60 & echo done")
    result = ended.ended()
    assert (result.state, result.killed) == ("succeeded", 0)
    assert ended.processes() == []
    assert ended.notes() == ["[runbook] the script left processes behind; they were ended"]


def test_one_that_ignores_the_signal_is_killed_and_counted(supervise):
    ended = supervise(
        "sh -c \"trap '' TERM; echo ready; while :; do sleep 0.05; done\" & until grep -q ready ../log; do :; done"
    )
    assert ended.ended().killed >= 1
    assert ended.processes() == []


def test_a_process_that_detached_itself_is_left_alone(supervise):
    ended = supervise(DETACHED % "> /dev/null 2>&1")
    assert (ended.ended().state, ended.ended().killed) == ("succeeded", 0)
    assert ended.commands() == ["sleep 61"]
    assert ended.notes() == []


def test_one_that_holds_the_pipe_does_not_keep_the_run_open(supervise):
    """The promise is 2 s after the script's end; 5 leave room for a noisy machine."""
    ended = supervise(DETACHED % "")
    result = ended.ended()
    assert (ended.folder / "result").stat().st_mtime - result.ended_at < 5
    assert ended.commands() == ["sleep 61"]


def test_what_a_background_process_prints_soon_after_the_end_is_recorded(supervise):
    ended = supervise(
        DETACHED.replace("exec sleep 61", "until [ -e go ]; do sleep 0.01; done; echo late") % ""
        + "; touch go; echo done"
    )
    ended.ended()
    assert sorted(ended.printed().split()) == [b"done", b"late"]


def test_a_script_that_closes_its_output_runs_to_its_end(supervise):
    ended = supervise("echo last words; exec >&- 2>&-; sleep 0.2; touch done; exit 4")
    assert ended.ended().return_code == 4
    assert ended.printed() == b"last words\n"
    assert (ended.work / "done").exists()


def test_a_stopped_script_can_be_cancelled(supervise):
    running = supervise("echo ready; kill -STOP $$; sleep 60", grace=0.3).has_printed(b"ready")
    script = until(running.processes)[0]
    until(lambda: status(script, "State").startswith("T"))
    running.tell(b"cancel alice\n")
    assert (running.ended().state, running.processes()) == ("cancelled", [])


def test_cancelling_a_fork_bomb_that_ignores_signals_ends_it(supervise):
    script = "trap '' TERM; bomb() { setsid sleep 60 & sleep 0.01; bomb; }; echo ready; bomb & bomb & bomb"
    running = supervise(script, grace=0.3).has_printed(b"ready")
    until(lambda: len(running.processes()) > 20)
    running.tell(b"cancel alice\n")
    assert running.ended().killed > 20
    assert running.processes() == []


def test_a_year_is_a_time_limit_too(supervise):
    assert supervise("echo hello", timeout=31_536_000).ended().state == State.SUCCEEDED


def test_a_note_begins_a_line_though_the_script_has_not_ended_its_own(supervise):
    ended = supervise("printf 'Password: ' >&2; sleep 60", timeout=0.3)
    ended.ended()
    prompt, line_end, note = ended.entries("stderr")
    assert (prompt.is_part, prompt.content, line_end.is_part, line_end.content) == (True, b"Password: ", False, b"")
    assert note.content.startswith(b"[runbook] timed out after 0.3 s")
