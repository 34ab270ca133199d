"""Whether a run lives is told by a lock, whoever dies first: the server, the supervisor or the script."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from runbooks.execution import folder

from .supervising import until

PROJECT = Path(__file__).parent.parent.parent

# Starts a supervisor, and is killed before it can say good-bye.
SERVER = """
import os, signal, sys
from pathlib import Path
import django
django.setup()
from tests.execution.supervising import start
start(Path(sys.argv[1]), "echo before; until [ -e go ]; do sleep 0.01; done; echo after; exit 6")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_lock_is_held_as_long_as_the_supervisor_lives(supervise):
    running = supervise("until [ -e go ]; do sleep 0.01; done")
    assert folder.is_alive(running.folder)
    (running.work / "go").touch()
    running.ended()
    assert not folder.is_alive(running.folder)


def test_the_script_does_not_inherit_the_lock(supervise):
    running = supervise("ls -l /proc/self/fd; sleep 60").has_printed(b"0 -> ")
    assert b"/lock" not in running.printed()


def test_a_killed_supervisor_frees_the_lock_although_children_of_the_script_live(supervise):
    running = supervise("sleep 61 & echo ready; sleep 62").has_printed(b"ready")
    until(lambda: len(running.processes()) == 3)
    running.process.kill()
    running.process.wait()
    assert not folder.is_alive(running.folder)
    assert running.processes() != []
    assert folder.read_result(running.folder) is None


def test_the_script_dies_with_its_supervisor(supervise):
    running = supervise("echo $$; while :; do sleep 0.05; done").has_printed(b"\n")
    script = int(running.printed())
    running.process.kill()
    until(lambda: script not in running.processes())


def test_a_run_goes_on_when_the_server_that_started_it_is_killed(tmp_path):
    path = tmp_path / "run"
    places = {"DATA_DIR": str(tmp_path), "PYTHONPATH": str(PROJECT)}
    server = subprocess.run([sys.executable, "-c", SERVER, path], env={**os.environ, **places}, check=False)
    assert server.returncode == -signal.SIGKILL
    until(lambda: b"before" in (path / "log").read_bytes())
    assert folder.is_alive(path)
    (path / "work" / "go").touch()
    assert until(lambda: folder.read_result(path)).return_code == 6
    assert b"after" in (path / "log").read_bytes()
    until(lambda: not folder.is_alive(path))
