"""`manage.py validate_runbooks` and `manage.py execute` as processes of their own, as a shell or CI starts them."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Library, runbook_source
from tests.processes import ROOT, Process, free_port, running, until

SILENT = """trap 'echo bye; exit 7' TERM; echo here; sleep 60 & wait"""


@dataclass(frozen=True)
class Shell:
    """Where commands are given: a DATA_DIR and a RUNBOOKS_DIR."""

    data: Path
    library: Library

    def __call__(self, *command: object, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, ROOT / "manage.py", *map(str, command)],
            cwd=cwd,
            env=os.environ | self.environment | environment,
            capture_output=True,
            timeout=30,
        )

    @property
    def environment(self) -> dict[str, str]:
        return {"DATA_DIR": str(self.data), "RUNBOOKS_DIR": str(self.library.root)}

    def add(self, name: str, script: str, **options: object) -> Path:
        return self.library.add(f"{name}.md", runbook_source(name=Path(name).name, script=script, **options))

    def started(self, *command: str, **environment: str) -> AbstractContextManager[Process]:
        return running("manage.py", *command, stdout=self.data / command[0], **self.environment, **environment)

    def query(self, columns: str) -> list[tuple]:
        with closing(sqlite3.connect(self.data / "db.sqlite3")) as database:
            return database.execute(f"SELECT {columns} FROM runbooks_run ORDER BY id").fetchall()  # noqa: S608


@pytest.fixture
def shell(tmp_path: Path, library: Library) -> Shell:
    """A shell before the first migration."""
    (tmp_path / "data").mkdir()
    return Shell(tmp_path / "data", library)


@pytest.fixture
def ready(shell: Shell, migrated: Path) -> Shell:
    """A shell with a database, without a server."""
    shutil.copy(migrated, shell.data)
    return shell


@pytest.fixture(params=["without a server", "beside a server"])
def either(request: pytest.FixtureRequest, ready: Shell) -> Iterator[Shell]:
    """A shell with a database; where a server runs, its runner may be quicker than the command."""
    if request.param == "without a server":
        yield ready
    else:
        with serving(ready):
            yield ready


@contextmanager
def serving(shell: Shell) -> Iterator[Process]:
    with shell.started("serve", API_PORT=str(free_port())) as server:
        assert server.will_say("ready")
        yield server


def test_validate_names_file_line_and_problem(shell):
    sound = shell.add("sound", "true")
    broken = shell.add("database/broken", "true", files="Input:\n  - missing.txt")
    line = broken.read_text().splitlines().index("  - missing.txt") + 1
    done = shell("validate_runbooks")
    assert done.returncode == 1
    assert done.stdout.decode().startswith(f"{broken}:{line}: File System Requirements: ")
    assert done.stdout.count(b"\n") == 1
    assert str(sound).encode() not in done.stdout
    assert done.stderr == b"Runbooks: 2, errors: 1, warnings: 0.\n"


def test_validate_marks_a_warning_and_does_not_fail(shell):
    file = shell.library.add("other.md", runbook_source(name="named"))
    done = shell("validate_runbooks")
    assert done.returncode == 0
    assert done.stdout.decode().startswith(f"{file}:1: warning: named: ")


def test_validate_needs_no_database_and_leaves_none(shell):
    shell.add("sound", "true")
    assert shell("validate_runbooks").returncode == 0
    assert (shell.data / "db.sqlite3").stat().st_size == 0
    assert [path for path in shell.data.iterdir() if path.is_dir()] == []
    assert [path.name for path in shell.library.root.iterdir()] == ["sound.md"]


def test_validate_takes_files_and_folders_from_anywhere_as_they_are_named(shell, tmp_path):
    elsewhere = Library(tmp_path / "elsewhere")
    elsewhere.add("one.md", runbook_source(name="one", files="Input:\n  - beside.txt"))
    elsewhere.add("beside.txt", "here")
    elsewhere.add("two.md", "# two\n")
    elsewhere.add(".hidden/three.md", "# three\n")
    one = shell("validate_runbooks", "elsewhere/one.md", cwd=tmp_path)
    assert (one.returncode, one.stdout) == (0, b"")
    both = shell("validate_runbooks", "elsewhere", "elsewhere/one.md", cwd=tmp_path)
    assert both.returncode == 1
    assert {line.split(":")[0] for line in both.stdout.decode().splitlines()} == {"elsewhere/two.md"}
    assert both.stderr.startswith(b"Runbooks: 2, errors: 3")


def test_validate_lets_a_runbook_of_the_library_use_what_is_beside_its_folder(shell):
    shell.library.add("shared.txt", "here")
    link = shell.add("database/linked", "true", files="Input:\n  - linked.txt").with_name("linked.txt")
    link.symlink_to("../shared.txt")
    done = shell("validate_runbooks", shell.library.root / "database")
    assert (done.returncode, done.stdout) == (0, b"")


def test_validate_reports_what_the_server_would_not_show(shell, tmp_path):
    outside = Library(tmp_path / "outside").add("secret.md", "# secret\n")
    (shell.library.root / "link.md").symlink_to(outside)
    os.mkfifo(shell.library.root / "pipe.md")
    shell.library.add("large.md", b"x" * (1024 * 1024 + 1))
    lines = shell("validate_runbooks").stdout.decode().splitlines()
    assert ["leads out of" in lines[1], "larger than" in lines[0], "not a regular file" in lines[2]] == [True] * 3
    assert len(lines) == 3


@pytest.mark.parametrize("name", ["missing", "missing.md", "notes.txt"])
def test_validate_says_that_there_is_no_such_runbook(shell, name):
    shell.library.add("notes.txt", "no runbook")
    done = shell("validate_runbooks", shell.library.root, shell.library.root / name)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.count(b"\n") == 1
    assert name.encode() in done.stderr


def test_validate_without_a_folder_of_runbooks_says_so(shell, tmp_path):
    done = shell("validate_runbooks", RUNBOOKS_DIR=str(tmp_path / "nowhere"))
    assert done.returncode == 2
    assert done.stderr.decode() == f"RUNBOOKS_DIR is {tmp_path}/nowhere, which does not exist.\n"


def test_validate_shows_no_control_characters(shell):
    shell.library.add("one.md", "# \x1b[2J\n")
    done = shell("validate_runbooks")
    assert b"\\x1b[2J" in done.stdout
    assert b"\x1b" not in done.stdout


def test_validate_shows_every_name_in_every_encoding(shell):
    shell.library.add("f\u00fcr.md", "# x\n")
    assert b"f\\xfcr.md:1: " in shell("validate_runbooks", PYTHONIOENCODING="ascii").stdout


def test_execute_prints_each_stream_byte_for_byte_and_exits_with_the_code(either):
    script = r"printf 'a\0\377\r\n'; printf 'no end' >&2; printf '%s, %s\n' $A \"$B\"; exit 37"
    either.add("deep/bytes", script.replace('\\"', '"'), requirements={"A": "one", "B": "two"})
    done = either("execute", "deep/bytes", "A=1", "--role", "sre", "B=x=y z", "--as", "carol")
    assert done.stdout == b"a\0\377\r\n1, x=y z\n"
    assert done.stderr == b"no end"
    assert done.returncode == 37
    [row] = either.query("state, return_code, actor, claims, runbook")
    assert row == ("failed", 37, "carol", '{"roles": ["sre"]}', "deep/bytes.md")
    assert (either.library.root / "deep/bytes.md").read_text().count("Run 1 by `carol`") == 1


def test_execute_prints_what_comes_when_it_comes(ready, tmp_path):
    ready.add("live", f"printf 'Continue? '; until [ -e {tmp_path}/go ]; do sleep 0.05; done; echo yes")
    with ready.started("execute", "live.md") as command:
        assert command.will_say("Continue? ")
        assert command.process.poll() is None
        (tmp_path / "go").touch()
        assert command.process.wait(15) == 0
        assert command.stdout.read_text() == "Continue? yes\n"


def test_execute_prints_a_flood_whole(ready):
    ready.add("flood", "seq 1 200000")
    done = ready("execute", "flood")
    assert done.returncode == 0
    assert done.stdout == b"".join(b"%d\n" % number for number in range(1, 200_001))
    assert done.stderr == b""


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_cancels_the_run_and_waits_for_its_end(either, sig):
    either.add("silent", SILENT)
    with either.started("execute", "silent", "--as", "carol") as command:
        assert command.will_say("here\n")
        command.process.send_signal(sig)
        assert command.process.wait(15) == 7
        assert command.stdout.read_text() == "here\nbye\n"
        assert command.complaints == "[runbook] cancelled by carol; the script has 10 s to end\n"
    assert either.query("state, cancelled_by, return_code") == [("cancelled", "carol", 7)]


def test_a_run_that_the_command_left_behind_is_settled_by_the_next_server(ready):
    ready.add("silent", SILENT)
    with ready.started("execute", "silent") as command:
        assert command.will_say("here\n")
        command.stop(signal.SIGKILL)
    assert ready.query("state") == [("running",)]
    (ready.data / "runs/1/control").write_text("cancel somebody\n")
    with serving(ready):
        until(lambda: ready.query("state") == [("cancelled",)])


def test_execute_follows_a_run_that_the_servers_runner_has_taken(ready, tmp_path):
    """The command is stopped as it has asked for the run, so that the runner is the quicker one."""
    ready.add("taken", f"echo $PPID > {tmp_path}/supervisor; echo done; exit 5")
    ask_and_pause = f"""if True:
        import os, pathlib, runpy, sys, time
        import django
        os.environ["DJANGO_SETTINGS_MODULE"] = "runbookweb.settings"
        django.setup()
        from runbooks.execution import control
        start_run = control.start_run
        def start_and_pause(*args, **options):
            run = start_run(*args, **options)
            while not pathlib.Path("{tmp_path}/supervisor").exists():
                time.sleep(0.02)
            return run
        control.start_run = start_and_pause
        sys.argv = ["manage.py", "execute", "taken"]
        runpy.run_path("manage.py", run_name="__main__")
    """
    with serving(ready), running("-c", ask_and_pause, stdout=ready.data / "asked", **ready.environment) as command:
        assert command.process.wait(20) == 5
        assert command.stdout.read_text() == "done\n"
    assert ready.query("state, return_code") == [("failed", 5)]


def test_a_run_that_timed_out_is_no_success(ready):
    ready.add("slow", "trap 'exit 0' TERM; sleep 60 & wait", settings={"timeout": 1})
    done = ready("execute", "slow")
    assert done.returncode == 1
    assert done.stderr.startswith(b"[runbook] timed out")
    assert ready.query("state, return_code") == [("timed_out", 0)]


def test_a_run_whose_supervisor_was_killed_is_lost(ready):
    ready.add("killer", "echo begun; kill -9 $PPID")
    done = ready("execute", "killer")
    assert done.returncode == 1
    assert b"[runbook] lost: " in done.stderr
    assert ready.query("state") == [("lost",)]


def test_a_run_that_nobody_knows_any_more_ends_the_command(ready, tmp_path):
    ready.add("live", f"echo begun; until [ -e {tmp_path}/go ]; do sleep 0.05; done")
    with ready.started("execute", "live") as command:
        assert command.will_say("begun\n")
        with closing(sqlite3.connect(ready.data / "db.sqlite3")) as database, database:
            database.execute("DELETE FROM runbooks_run")
        assert command.process.wait(15) == 1
        assert command.complaints.startswith("The database failed, ")
        (tmp_path / "go").touch()
        until((ready.data / "runs/1/result").exists)


def test_the_line_of_the_log_is_on_stderr_for_who_asks_for_it(ready):
    ready.add("failing", "echo done; exit 3")
    done = ready("execute", "failing", "--as", "carol", "--verbosity", "2")
    assert done.stdout == b"done\n"
    [line] = map(json.loads, done.stderr.splitlines())
    assert (line["logger"], line["run_id"], line["actor"], line["return_code"]) == ("runbooks.runs", 1, "carol", 3)


def test_what_went_wrong_beside_the_script_is_on_stderr(either):
    either.add("keeping", "echo done", files="Output:\n  - missing.txt")
    done = either("execute", "keeping")
    assert (done.returncode, done.stdout) == (0, b"done\n")
    assert done.stderr == b"[runbook] Output missing.txt was not there at the end.\n"


def test_a_reader_that_leaves_does_not_end_the_run(ready):
    ready.add("flood", "seq 1 200000; exit 4", files="Output:\n  - missing.txt")
    command = [sys.executable, "manage.py", "execute", "flood"]
    options = {"cwd": ROOT, "env": os.environ | ready.environment, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, stdout=subprocess.PIPE, **options) as process:
        assert process.stdout.readline() == b"1\n"
        process.stdout.close()
        assert process.wait(20) == 4
    assert ready.query("state, return_code") == [("failed", 4)]


def test_ctrl_c_is_heard_while_nobody_reads_the_output(ready):
    # The signal goes to the whole group: without its own trap, seq might be ended before it has printed everything.
    ready.add("flood", "trap 'exit 7' TERM; (trap '' TERM; exec seq 1 200000); sleep 60 & wait")
    command = [sys.executable, "manage.py", "execute", "flood"]
    options = {"cwd": ROOT, "env": os.environ | ready.environment, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **options) as process:
        assert process.stdout.readline() == b"1\n"
        process.send_signal(signal.SIGINT)
        until(lambda: ready.query("state") == [("cancelled",)])
        assert process.poll() is None
        assert process.communicate(timeout=15)[0].endswith(b"\n200000\n")
        assert process.returncode == 7


def test_a_secret_from_the_environment_reaches_the_script_and_no_log(ready):
    ready.add("secret", 'echo "${#API_TOKEN} $API_TOKEN"', requirements={"API_TOKEN": "who we are"})
    done = ready("execute", "secret", "--from-env", "API_TOKEN", API_TOKEN="correct horse")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"13 ***\n", b"")
    assert ready.query('"values", sealed_values') == [('{"API_TOKEN": "***"}', None)]


CLAIMS = {"claims": {"roles": ["sre", "dba"]}}
REFUSED = [
    ({}, ["nowhere"], "There is no runbook nowhere; name one by its path below RUNBOOKS_DIR.\n"),
    ({}, ["../data/asked"], "There is no runbook ../data/asked; name one by its path below RUNBOOKS_DIR.\n"),
    ({"requirements": {"A": "one", "B": "two"}}, ["asked"], "A: a value is needed.\nB: a value is needed.\n"),
    ({}, ["asked", "A=1", "sesame"], "Values are given as VAR=value, and number 2 is not.\n"),
    ({}, ["asked", "A=1", "A=2"], "A is given twice.\n"),
    (
        {},
        ["asked", "--from-env", "NOBODY_SET"],
        "--from-env NOBODY_SET: there is no such variable in the environment.\n",
    ),
    (
        {"settings": {"confirm": "true"}},
        ["asked"],
        "This runbook wants to be confirmed: add --confirm to run it now.\n",
    ),
    (CLAIMS, ["asked", "--role", "web"], "You need one of these roles: sre, dba. You have: web.\n"),
    ({"language": "cobol"}, ["asked"], "This runbook cannot run: "),
    ({}, ["asked", "--as", ""], "Say with --as who you are, "),
    ({}, ["asked", "--as", "\x1b[2J"], "Say with --as who you are, "),
]


@pytest.mark.parametrize(("options", "arguments", "sentence"), REFUSED)
def test_what_cannot_run_is_a_sentence_on_stderr(ready, options, arguments, sentence):
    ready.add("asked", "echo ran", **options)
    done = ready("execute", *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().startswith(sentence)
    assert done.stderr.count(b"\n") == max(1, sentence.count("\n"))
    assert ready.query("state") == ([("refused",)] if options is CLAIMS else [])


def test_a_confirmed_run_runs_with_a_claim(ready):
    ready.add("asked", "echo ran", settings={"confirm": "true"}, **CLAIMS)
    done = ready("execute", "--confirm", "--role", "web", "--role", "dba", "asked")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"ran\n", b"")


def test_a_reason_is_kept_with_the_run(ready):
    ready.add("asked", "echo ran", settings={"confirm": "true"})
    assert ready("execute", "asked", "--confirm", "--reason", "the replica lags").returncode == 0
    assert ready.query("reason, address") == [("the replica lags", "")]


LOADS = {"requirements": {"DUMP": "{type: file}"}}


@pytest.mark.parametrize(("given", "printed"), [("@dump.sql", "dump.sql\n\xff\n"), ("text", "DUMP.txt\ntext")])
def test_a_file_is_given_by_its_path_or_as_its_text(ready, tmp_path, given, printed):
    ready.add("load", 'basename "$DUMP"; cat "$DUMP"', **LOADS)
    (tmp_path / "dump.sql").write_bytes(b"\xff\n")
    done = ready("execute", "load", f"DUMP={given}", cwd=tmp_path)
    assert (done.returncode, done.stdout.decode("latin-1"), done.stderr) == (0, printed, b"")


@pytest.mark.parametrize("path", ["nowhere", ".", ""])
def test_a_file_that_cannot_be_read_is_a_sentence_on_stderr(ready, tmp_path, path):
    ready.add("load", "echo ran", **LOADS)
    done = ready("execute", "load", f"DUMP=@{path}", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"DUMP: ")
    assert b"cannot be read: " in done.stderr


def test_execute_without_migrations_says_what_to_do(shell):
    shell.add("asked", "echo ran")
    done = shell("execute", "asked")
    assert done.returncode == 2
    assert done.stderr.startswith(b"The database cannot be used: no such table")
    assert done.stderr.endswith(b"run `manage.py migrate` first.\n")
