"""How a script starts and ends under its supervisor, and what it gets from it."""

import os
import shutil
import subprocess
from pathlib import Path

import inotify_simple
import pytest

from runbooks.execution import launch

from .supervising import MARK, until

SUPERVISOR = [launch.PYTHON, "-I", "-S", str(launch.SUPERVISOR)]
# What os needs, and modules in C: Python's start is most of what a short run costs.


@pytest.mark.parametrize(
    ("script", "state", "return_code"),
    [
        ("true", "succeeded", 0),
        ("exit 3", "failed", 3),
        ("exit 255", "failed", 255),
        ("kill -TERM $$", "failed", 143),
        ("kill -KILL $$", "failed", 137),
        ("kill -PIPE $$", "failed", 141),
    ],
)
def test_the_result_says_how_the_script_ended(supervise, script, state, return_code):
    result = supervise(script).ended()
    assert (result.state, result.return_code, result.killed, result.warnings) == (state, return_code, 0, ())


def test_the_result_comes_by_rename_and_so_never_in_part(supervise):
    running = supervise("until [ -e go ]; do sleep 0.01; done")
    flags = inotify_simple.flags
    with inotify_simple.INotify() as inotify:
        inotify.add_watch(running.folder, flags.CREATE | flags.MODIFY | flags.MOVED_TO)
        (running.work / "go").touch()
        running.ended()
        events = inotify.read(timeout=1000)
    assert {event.mask for event in events if event.name == "result"} == {flags.MOVED_TO}
    assert not (running.folder / "result.draft").exists()


def test_an_interpreter_that_is_not_there_is_named_in_the_log(supervise):
    ended = supervise("true", language="missing")
    assert (ended.ended().state, ended.ended().return_code) == ("failed", 127)
    assert ended.notes() == ["[runbook] cannot start /no/such: No such file or directory"]


def test_a_script_whose_folder_is_gone_fails_and_says_so(supervise):
    ended = supervise("true", supervisor=["/bin/sh", "-c", 'rmdir "$5/work"; exec "$@"', "sh", *SUPERVISOR])
    assert (ended.ended().state, ended.ended().return_code) == ("failed", 127)
    assert ended.notes() == ["[runbook] cannot start /bin/sh: No such file or directory"]


def test_a_script_leaves_no_core_file_in_which_its_values_would_be(supervise):
    ended = supervise("ulimit -c; ulimit -Hc")
    ended.ended()
    assert ended.printed() == b"0\n0\n"


def test_the_script_has_its_own_session_and_process_group(supervise):
    running = supervise("echo $$; sleep 60").has_printed(b"\n")
    script = int(running.printed())
    assert (os.getsid(script), os.getpgid(script)) == (script, script)
    assert os.getsid(running.process.pid) == running.process.pid


def test_its_standard_input_is_empty(supervise):
    ended = supervise("wc -c; echo after")
    ended.ended()
    assert ended.printed().split() == [b"0", b"after"]


def test_its_environment_is_exactly_what_was_given(supervise):
    given = {"PATH": "/usr/bin:/bin", "GREETING": "grüß\nGott ", "EMPTY": ""}
    ended = supervise('print(open("/proc/self/environ").read(), end="")', language="python", environment=given)
    ended.ended()
    printed = ended.printed().decode().split("\0")
    assert sorted(printed) == sorted(
        [*(f"{name}={value}" for name, value in given.items()), f"{MARK}={ended.mark}", ""]
    )


def test_it_inherits_no_descriptor_but_its_three(supervise):
    ended = supervise('import os\nprint(sorted(map(int, os.listdir("/proc/self/fd"))))', language="python")
    ended.ended()
    # One more is the folder that is being listed.
    assert ended.printed() == b"[0, 1, 2, 3]\n"


def test_signals_have_their_ordinary_meaning_for_it_however_the_server_was_started(supervise):
    # As for a server behind nohup or `&`, where these two are ignored and would stay so in every process below.
    ignored = [shutil.which("sh"), "-c", "trap '' INT QUIT; exec \"$@\"", "sh"]
    ended = supervise("grep Sig /proc/self/status", supervisor=[*ignored, *SUPERVISOR])
    ended.ended()
    lines = dict(line.split(b":\t") for line in ended.printed().splitlines())
    assert int(lines[b"SigIgn"], 16) == 0
    assert int(lines[b"SigBlk"], 16) == 0


def test_the_command_line_of_the_supervisor_holds_no_values(supervise):
    running = supervise("echo started; sleep 60", environment={"PIN": "opensesame"}).has_printed(b"started")
    of_supervisor = [Path(f"/proc/{running.process.pid}/{name}").read_bytes() for name in ("cmdline", "environ")]
    assert b"opensesame" not in b"".join(of_supervisor)
    assert of_supervisor[0].split(b"\0")[-3].decode() == str(running.folder)


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="needs setpriv to be an ordinary root")
def test_a_process_of_the_same_user_cannot_look_into_the_supervisor(supervise):
    # Without its capabilities root is a user like others; with them, nothing is closed to it.
    as_user = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else []
    command = [shutil.which(as_user[0]), *as_user[1:]] if as_user else []
    running = supervise("echo $$; sleep 60", supervisor=[*command, *SUPERVISOR]).has_printed(b"\n")
    own, supervisors = (
        subprocess.run([*as_user, "cat", f"/proc/{pid}/environ"], capture_output=True, check=False)
        for pid in (int(running.printed()), running.process.pid)
    )
    assert running.mark.encode() in own.stdout
    assert b"Permission denied" in supervisors.stderr


@pytest.mark.parametrize("python", ["python3.12", "python3.13", "python3.14"])
def test_it_works_on_later_versions_of_python(supervise, python):
    path = shutil.which(python)
    # A shim can be there without the version that it stands for.
    if not path or subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode:
        pytest.skip(f"{python} is not installed")
    ended = supervise("echo hello; exit 5", supervisor=[path, "-W", "error", "-I", "-S", str(launch.SUPERVISOR)])
    assert (ended.ended().return_code, ended.printed()) == (5, b"hello\n")


def test_a_supervisor_whose_folder_is_gone_leaves_no_script_behind(supervise):
    ended = supervise("sleep 60", supervisor=["/bin/sh", "-c", 'rm -r "$5"; exec "$@"', "sh", *SUPERVISOR])
    assert until(lambda: ended.process.poll()) != 0
    assert ended.processes() == []


def test_a_note_from_the_server_is_a_line_of_the_log(supervise):
    running = supervise("echo begun; until [ -e go ]; do sleep 0.01; done").has_printed(b"begun")
    running.tell("note refused: \x1b[2J Übung → opensesame\nnote another\n".encode())
    until(lambda: len(running.notes()) == 2)
    (running.work / "go").touch()
    assert running.ended().state == "succeeded"
    assert running.notes() == ["[runbook] refused:  [2J Übung → opensesame", "[runbook] another"]


def test_a_note_shows_no_secret(supervise):
    running = supervise("echo begun; until [ -e go ]; do sleep 0.01; done", secrets=[b"opensesame"])
    running.has_printed(b"begun").tell(b"note refused: opensesame\n")
    until(running.notes)
    (running.work / "go").touch()
    running.ended()
    assert running.notes() == ["[runbook] refused: ***"]


def test_notes_cannot_fill_the_disk(supervise):
    """The output limit does not count them, and a script of the same user can write them, too."""
    script = "n=0; while [ $n -lt 500 ]; do n=$((n+1)); echo note $n; done > ../control; echo cancel me > ../control"
    running = supervise(f"{script}; sleep 60")
    assert running.ended().state == "cancelled"
    notes = running.notes()
    assert notes[:100] == [f"[runbook] {number}" for number in range(1, 101)]
    assert len(notes) == 101


def test_another_request_is_passed_over(supervise):
    running = supervise("echo begun; until [ -e go ]; do sleep 0.01; done").has_printed(b"begun")
    running.tell(b"\xff\0 nothing\nnote\nnotes \nnote known\n")
    until(running.notes)
    (running.work / "go").touch()
    assert running.ended().state == "succeeded"
    assert running.notes() == ["[runbook] known"]
