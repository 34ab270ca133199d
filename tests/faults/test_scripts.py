"""Scripts that misbehave: each is real, and does to its server, its supervisor and its machine what it can.

Those that ignore signals, close their output or leave daemons behind are in tests/execution/test_ending.py.
"""

import re
import socket
import threading
from datetime import timedelta
from pathlib import Path

from runbooks.execution import launch, runner
from runbooks.execution.folder import Result
from runbooks.execution.runner import settle_if_ended
from runbooks.models import State
from runbooks.output.entries import parse
from tests.conftest import runbook_source
from tests.execution.supervising import joined, processes_with, status, supervisors_in, until
from tests.processes import Process, read_all
from tests.serving import Program, Site, signed_in

MEGABYTE = 1_000_000
# It tries again and again, as a bomb in a shell would not: that ends with the first failure.
BOMB = """
import os, time
while True:
    try:
        os.fork()
    except BlockingIOError:
        os.write(1, b"no more\\n")
        time.sleep(0.1)
"""
HOG = "import os, time\n{}\nos.write(1, b'full\\n')\ntime.sleep(60)"
FILLERS = {
    "one file": "open('a', 'wb').write(bytes(20_000_000))",
    "many files": "for number in range(3000):\n    open(str(number), 'wb').write(bytes(5000))",
    "a file with other names elsewhere": "import tempfile\nopen('a', 'wb').write(bytes(20_000_000))\n"
    "away = tempfile.mkdtemp(dir='..')\nfor number in range(9):\n    os.link('a', f'{away}/{number}')",
    "a deep tree": "for _ in range(300):\n    os.mkdir('d')\n    os.chdir('d')\n    open('a', 'w').write('x' * 50000)",
}
UNSEEN = {
    "a hole": "open('a', 'wb').truncate(2**40)",
    "a second name": "open('a', 'wb').write(bytes(8_000_000))\nos.link('a', 'b')",
    "what has no name any more": "file = open('a', 'wb')\nos.unlink('a')\nfile.write(bytes(20_000_000))\nfile.flush()",
    "what a link leads to": "os.symlink('/usr', 'a')",
}
THEN_A_FILE = """
import os, time
{}
os.write(1, b"done\\n")
while not os.path.exists("go"):
    time.sleep(0.05)
open("more", "wb").write(bytes(11_000_000))
time.sleep(60)
"""
FIRST_THREAD_GONE = """
import ctypes, threading
threading.Thread(target=time.sleep, args=(60,)).start()
ctypes.CDLL(None).pthread_exit(None)
"""
TOO_FULL = r"Ended: its working folder holds (\d+) bytes, more than SCRIPT_MAX_DISK allows \(10000000 bytes\)\."
TOO_LARGE = r"Ended: its processes use (\d+) bytes of memory, more than SCRIPT_MAX_MEMORY allows \(100000000 bytes\)\."


def used(result: Result, sentence: str) -> int:
    """How much the result says was used by a script that was ended for it."""
    assert (result.state, result.return_code) == (State.FAILED, 143)
    (warning,) = result.warnings
    return int(re.fullmatch(sentence, warning)[1])


# Processes


def test_a_fork_bomb_of_another_user_does_not_grow(script_user, a_run, begin, settings, mark, python):
    settings.SCRIPT_MAX_PROCESSES = 30
    run = a_run(f"#!{python}{BOMB}")
    begin(run)
    until(lambda: b"no more" in run.log.read_bytes())
    counted = [len(processes_with(mark)) for _ in range(50)]
    assert 20 < max(counted) <= 30
    (run.folder / "control").write_bytes(b"cancel alice\n")
    until(lambda: settle_if_ended(run))
    run.refresh_from_db()
    assert (run.state, processes_with(mark)) == (State.CANCELLED, [])


def test_too_many_processes_of_the_servers_user_are_told_of(supervise):
    running = supervise("sleep 61 & sleep 62 & until [ -e go ]; do sleep 0.05; done", processes=2)
    warned = until(running.notes)[0]
    assert re.fullmatch(r"\[runbook\] warning: this run has \d processes, more than SCRIPT_MAX_PROCESSES \(2\)", warned)
    (running.work / "go").touch()
    result = running.ended()
    assert (result.state, result.return_code, len(result.warnings)) == (State.SUCCEEDED, 0, 1)
    assert "more than SCRIPT_MAX_PROCESSES (2)" in result.warnings[0]


# Memory


def test_one_process_gets_no_more_memory_than_it_may_have(supervise):
    ended = supervise("x = bytearray(150_000_000)", language="python", memory=100_000_000)
    assert (ended.ended().state, ended.ended().return_code) == (State.FAILED, 1)
    assert b"MemoryError" in ended.printed("stderr")


def test_several_processes_together_are_ended(supervise):
    script = HOG.format("os.fork(), os.fork()\nx = b'x' * 60_000_000")
    running = supervise(script, language="python", memory=100_000_000)
    assert 100_000_000 < used(running.ended(), TOO_LARGE) < 400_000_000
    assert running.processes() == []


def test_memory_that_processes_share_counts_once(supervise):
    script = HOG.format("x = b'x' * 60_000_000\nos.fork(), os.fork()")
    running = supervise(script, language="python", memory=100_000_000, processes=1)
    until(running.notes)  # its processes have been counted, and with them their memory
    running.tell(b"cancel alice\n")
    assert (running.ended().state, len(running.ended().warnings)) == (State.CANCELLED, 1)


def test_memory_counts_whose_first_thread_has_ended(supervise):
    script = f"import os, time\nos.fork(), os.fork()\nx = b'x' * 60_000_000\n{FIRST_THREAD_GONE}"
    running = supervise(script, language="python", memory=100_000_000)
    assert 100_000_000 < used(running.ended(), TOO_LARGE) < 400_000_000
    assert running.processes() == []


# Disk


def test_a_working_folder_that_grows_too_large_ends_its_run(supervise):
    started = {
        name: supervise(HOG.format(script), language="python", disk=10_000_000) for name, script in FILLERS.items()
    }
    for name, running in started.items():
        assert 10_000_000 < used(running.ended(), TOO_FULL) < 30_000_000, name
        (note,) = running.notes()
        assert "more than SCRIPT_MAX_DISK allows (10000000 bytes); the script has 5 s to end" in note


def test_what_takes_no_place_in_a_working_folder_does_not_count(supervise):
    started = {
        name: supervise(THEN_A_FILE.format(script), language="python", disk=10_000_000)
        for name, script in UNSEEN.items()
    }
    for running in started.values():
        (running.has_printed(b"done").work / "go").touch()
    for name, running in started.items():
        assert 10_000_000 < used(running.ended(), TOO_FULL) < 20_000_000, name


# Output


def test_each_byte_shows_without_a_line_end(supervise):
    running = supervise("for i in 1 2 3 4 5; do printf .; until [ -e $i ]; do sleep 0.01; done; done")
    for number in range(1, 6):
        running.has_printed(b"." * number)
        (running.work / str(number)).touch()
    running.ended()
    assert running.printed() == b"....."
    assert len(running.entries()) == 5


def test_a_hundred_thousand_lines_on_both_streams_at_once_are_all_there(supervise):
    ended = supervise("seq 100000 & seq -f -%.0f 100000 >&2; wait")
    ended.ended()
    expected = [b"%d" % number for number in range(1, 100_001)]
    assert ended.printed("stdout").split() == expected
    assert ended.printed("stderr").split() == [b"-" + line for line in expected]


def test_a_gigabyte_leaves_server_and_supervisor_small(site, library, tmp_path):
    line = "one of many lines " * 6
    print_all = f"yes '{line}' | head -c {{}}; touch {{}}/printed; until [ -e {{}}/go ]; do sleep 0.1; done"
    for name, size in (("warm", MEGABYTE), ("flood", 1000 * MEGABYTE)):
        (tmp_path / name).mkdir()
        script = print_all.format(size, tmp_path / name, tmp_path / name)
        library.add(f"{name}.md", runbook_source(name=name, script=script, settings={"timeout": 150}))
    with site.serving() as server:
        program = signed_in(server)
        before = watched(site, server, program, "warm", tmp_path)
        after = watched(site, server, program, "flood", tmp_path)
        _, run = program("GET", "/api/runs/2")
    assert [most - least < 20 * MEGABYTE for least, most in zip(before, after, strict=True)] == [True, True]
    assert (run["status"], run["return_code"]) == ("succeeded", 0)
    log = (site.data / "runs/2/log").read_bytes()
    left_out = int(re.search(rb"(\d+) bytes of output were left out here", log)[1])
    recorded = len(joined(entry for entry in parse(log) if entry.stream == "stdout"))
    assert 10 * MEGABYTE < recorded < 11 * MEGABYTE
    assert recorded + left_out == 1000 * MEGABYTE


def watched(site: Site, server: Process, program: Program, name: str, folder: Path) -> tuple[int, int]:
    """The most memory that the server and the supervisor have had when a run has printed it all, with a viewer."""
    _, run = program.execute(f"{name}.md")
    viewer = asked(server, program, f"/api/runs/{run['run_id']}/events")
    seen = []
    watching = threading.Thread(target=lambda: seen.append(read_all(viewer)))
    watching.start()
    until((folder / name / "printed").exists, patience=150)
    (supervisor,) = supervisors_in(site.data)
    supervisors = 1024 * int(status(supervisor, "VmHWM").split()[0])
    (folder / name / "go").touch()
    watching.join(60)
    assert b"event: done" in seen[0]
    return server.peak_memory(), supervisors


def asked(server: Process, program: Program, path: str) -> socket.socket:
    """The connection on which a reader of a run gets its answer."""
    lines = (f"GET {path} HTTP/1.1", "Host: localhost", f"Authorization: {program.authorization}", "Connection: close")
    return server.send("\r\n".join((*lines, "Accept: text/event-stream", "", "")).encode())


def test_noise_comes_to_every_reader_as_text(site, library):
    library.add("noise.md", runbook_source(name="noise", script="head -c 2000000 /dev/urandom; echo; echo the end"))
    with site.serving() as server:
        program = signed_in(server)
        _, ended = program("POST", "/api/runbooks/noise.md/execute", {"env_vars": {}})
        for reader in ("text/event-stream", "application/x-ndjson"):
            answer = program.ask("GET", "/api/runs/1/events", Accept=reader).getresponse()
            assert "the end" in answer.read().decode()[-2000:], reader
        assert b"the end" in program.ask("GET", "/api/runs/1/log").getresponse().read()[-200:]
    assert (ended["return_code"], ended["stdout"][-8:]) == (0, "the end\n")
    assert "exception" not in server.complaints


# What it does to its own surroundings


def test_a_script_may_move_its_own_folder_away(a_run, finish):
    run = finish(a_run('mv "$PWD" "$PWD.moved"; echo on; touch a; exit 3', files="Output: [a]"))
    assert (run.state, run.return_code) == (State.FAILED, 3)
    assert run.warnings == ["Output a was not there at the end."]
    assert b"stdout F on" in run.log.read_bytes()


def test_a_script_may_delete_its_own_folder(a_run, finish):
    run = finish(a_run('rm -r "$PWD"; echo on', files="Output: [a]"))
    assert (run.state, run.warnings) == (State.SUCCEEDED, ["Output a was not there at the end."])
    assert b"stdout F on" in run.log.read_bytes()


def test_a_script_that_kills_its_supervisor_is_lost_and_dies_with_it(a_run, begin, mark):
    run = a_run("sleep 61 & kill -KILL $PPID; sleep 62")
    begin(run)
    until(lambda: settle_if_ended(run))
    run.refresh_from_db()
    assert (run.state, run.return_code) == (State.LOST, None)
    until(lambda: processes_with(mark) == [])


def test_a_process_whose_first_thread_has_ended_does_not_outlive_a_cancel(supervise):
    script = f"import os, time\nif os.fork():\n    time.sleep(60)\nos.setsid()\nprint('away')\n{FIRST_THREAD_GONE}"
    running = supervise(script, language="python", grace=0.5).has_printed(b"away")
    running.tell(b"cancel alice\n")
    assert running.ended().state == State.CANCELLED
    assert running.processes() == []


def test_what_a_script_puts_in_place_of_its_supervisors_words_holds_nobody_up(a_run, begin, settings):
    own = f"{settings.DATA_DIR}/runs/$RUNBOOK_RUN_ID/supervisor.err"
    run = a_run(f"rm {own}; mkfifo {own}; kill -KILL $PPID; sleep 62")
    begin(run)
    until(lambda: settle_if_ended(run))
    run.refresh_from_db()
    assert run.state == State.LOST


def test_a_supervisor_that_its_script_has_stopped_is_woken(a_run, begin, monkeypatch):
    monkeypatch.setattr(runner, "OVERDUE", timedelta(0))
    monkeypatch.setattr(launch, "GRACE", 0)
    run = a_run("kill -STOP $PPID; sleep 62", settings={"timeout": 1})
    begin(run)
    until(lambda: settle_if_ended(run))
    run.refresh_from_db()
    assert run.state == State.TIMED_OUT
