"""SCRIPT_USER: scripts run as a user who gets at nothing of the server's, and root falls into no trap of theirs."""

import contextlib
import os
import pwd
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runbooks.execution import workspace
from runbooks.execution.outputs import keep_outputs
from runbooks.execution.runner import settle_if_ended
from runbooks.execution.script_user import problem
from runbooks.models import Run, State
from runbooks.output.entries import parse
from tests.conftest import runbook_source
from tests.execution.conftest import launched
from tests.processes import ROOT, free_port, running, until
from tests.serving import signed_in

INTRUDER = """
import os, signal
supervisor, server, data = os.getppid(), {server}, "{data}"
own, place = os.getcwd(), os.path.dirname(os.getcwd())
attempts = {{
    "list DATA_DIR": lambda: os.listdir(data),
    "read the database": lambda: open(data + "/db.sqlite3", "rb"),
    "read the key": lambda: open(data + "/secret_key"),
    "read its own log": lambda: open(data + "/runs/1/log"),
    "read the server's environment": lambda: open(f"/proc/{{server}}/environ").read(),
    "read the server's memory": lambda: open(f"/proc/{{server}}/mem", "rb"),
    "see what the server has open": lambda: os.listdir(f"/proc/{{server}}/fd"),
    "read the supervisor's environment": lambda: open(f"/proc/{{supervisor}}/environ").read(),
    "read the supervisor's memory": lambda: open(f"/proc/{{supervisor}}/mem", "rb"),
    "end the server": lambda: os.kill(server, signal.SIGKILL),
    "end the supervisor": lambda: os.kill(supervisor, signal.SIGKILL),
    "change its own script": lambda: open(__file__, "a"),
    "open its own script to itself": lambda: os.chmod(__file__, 0o600),
    "list the folder of all runs": lambda: os.listdir(place),
    "put something beside its folder": lambda: open(place + "/2.script", "w"),
    "move its own folder": lambda: os.rename(own, own + ".moved"),
    "become root": lambda: os.setuid(0),
}}
for name, attempt in attempts.items():
    try:
        attempt()
        print(name + ": done")
    except PermissionError:
        print(name + ": refused")
open("proof", "w")
"""
# Puts links where files and folders were, over and over, also by way of folders that it has opened before.
SWAPPER = """
import contextlib, os, sys
secret, work = sys.argv[1:]
while True:
    with contextlib.suppress(OSError):
        folders = [os.open(work + path, os.O_RDONLY) for path in ("", "/out", "/out/deep")]
        try:
            for _ in range(30):
                for folder, name, target in zip(folders, ("out", "deep", "a"), (secret, secret, secret + "/precious")):
                    with contextlib.suppress(OSError):
                        os.rename(name, "away", src_dir_fd=folder, dst_dir_fd=folder)
                        os.symlink(target, name, dir_fd=folder)
                    with contextlib.suppress(OSError):
                        os.unlink(name, dir_fd=folder)
                    with contextlib.suppress(OSError):
                        os.rename("away", name, src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            for folder in folders:
                os.close(folder)
"""


def printed(run: Run) -> str:
    return "".join(f"{entry.content.decode()}\n" for entry in parse(run.log.read_bytes()))


def owner(path: Path) -> tuple[int, int, str]:
    info = path.lstat()
    return info.st_uid, info.st_gid, oct(info.st_mode & 0o7777)


def test_a_script_is_that_user_at_home_where_that_user_is(script_user, a_run, finish, monkeypatch, settings):
    monkeypatch.setenv("TMPDIR", "/root/tmp")
    settings.SCRIPT_ENV = (*settings.SCRIPT_ENV, "HO*")
    run = finish(a_run("id -un; id -G; echo $HOME $USER $LOGNAME ${TMPDIR-none}; umask 0; touch a"))
    name = script_user.pw_name
    assert printed(run) == f"{name}\n{script_user.pw_gid}\n{script_user.pw_dir} {name} {name} none\n"
    assert (run.state, run.warnings) == (State.SUCCEEDED, [])


def test_an_uploaded_file_is_its_own_too(script_user, a_run, begin):
    asking = {"requirements": {"DUMP": "{type: file}"}, "values": {"DUMP": "before\n"}}
    run = a_run('echo after >> "$DUMP"; cat "$DUMP"; sleep 60', **asking)
    begin(run)
    until(lambda: "before\nafter" in printed(run))
    uid, gid = script_user.pw_uid, script_user.pw_gid
    assert owner(run.work / "uploads/DUMP") == (uid, gid, "0o700")
    assert owner(run.work / "uploads/DUMP/DUMP.txt") == (uid, gid, "0o600")
    assert not (run.folder / "uploads").exists()


def test_what_a_script_finds_is_its_own_and_nobody_elses(script_user, a_run, begin, library):
    library.add("in/deep/a", "before\n")
    run = a_run("echo after >> in/deep/a; cat in/deep/a; sleep 60", files="Input: [in]")
    begin(run)
    until(lambda: "after" in printed(run))
    uid, gid = script_user.pw_uid, script_user.pw_gid
    assert owner(run.work.parent) == (0, 0, "0o711")
    assert owner(run.work) == (uid, gid, "0o700")
    assert owner(run.script) == (0, gid, "0o440")
    assert owner(run.work / "in/deep")[:2] == owner(run.work / "in/deep/a")[:2] == (uid, gid)


@pytest.fixture
def place(script_user, settings) -> dict[str, str]:
    """What a server's environment needs for its scripts to run as that user."""
    return {"SCRIPT_USER": settings.SCRIPT_USER, "EXECUTION_DIR": str(settings.EXECUTION_DIR)}


def test_a_script_gets_at_nothing_of_the_servers(place, site, library, python):
    with site.serving(**place) as server:
        source = f"#!{python}" + INTRUDER.format(server=server.process.pid, data=site.data)
        library.add("intrude.md", runbook_source(name="intrude", script=source))
        _, answer = signed_in(server)("POST", "/api/runbooks/intrude.md/execute", {"env_vars": {}})
    said = answer["stdout"].splitlines()
    assert (answer["return_code"], answer["stderr"]) == (0, "")
    assert len(said) == 17
    assert [line for line in said if not line.endswith(": refused")] == []


def test_what_is_kept_is_the_servers_own(script_user, a_run, finish):
    script = "umask 0; mkdir -p out/deep; echo 1 > out/deep/a; chmod 6777 out out/deep/a; ln -s /etc/passwd out/b"
    run = finish(a_run(script, files="Output: [out]"))
    outputs = run.folder / "outputs"
    assert {path.name: owner(path) for path in outputs.rglob("*")} == {
        "out": (0, 0, "0o700"),
        "deep": (0, 0, "0o700"),
        "a": (0, 0, "0o700"),
    }
    assert (outputs / "out/deep/a").read_text() == "1\n"
    assert not run.work.exists()


def test_a_file_of_another_user_is_not_taken_by_way_of_a_second_name(script_user, a_run, begin, tmp_path):
    run = a_run("mkdir out; sleep 60", files="Output: [out, report.txt]")
    begin(run)
    until((run.work / "out").exists)
    precious = run.work.parent / "precious"  # on the same disk, and as the script could name it if the system let it
    precious.write_text("kept")
    precious.chmod(0o644)
    for name in ("report.txt", "out/a"):
        os.link(precious, run.work / name)
    assert keep_outputs(run) == [
        "Output out was kept without the links and the like in it (1).",
        "Output report.txt was not kept: it is a second name of a file of another user.",
    ]
    assert owner(precious) == (0, 0, "0o644")


@pytest.mark.parametrize("output", ["out", "out/deep/a"])
def test_root_follows_no_link_that_is_put_in_its_way(script_user, a_run, begin, tmp_path, python, output):
    run = a_run("sleep 60", files=f"Output: [{output}]")
    begin(run)
    secret = tmp_path / "secret"
    secret.mkdir(mode=0o755)
    (secret / "precious").write_text("precious")
    before = owner(secret), owner(secret / "precious")
    who = {"user": script_user.pw_uid, "group": script_user.pw_gid, "extra_groups": []}
    with subprocess.Popen([python, "-c", SWAPPER, secret, run.work], **who) as swapper:
        try:
            warned = [warning for _ in range(100) for warning in swapped(run, script_user)]
        finally:
            swapper.kill()
    assert len(warned) > 1  # it was in our way indeed
    assert (owner(secret), owner(secret / "precious")) == before
    assert [path.name for path in secret.iterdir()] == ["precious"]


def swapped(run: Run, user: pwd.struct_passwd) -> list[str]:
    """What is said when outputs are kept and all else is removed while links come and go; nothing secret is kept."""
    workspace.remove(run)
    run.work.mkdir(mode=0o700)
    (run.work / "out/deep").mkdir(parents=True)
    (run.work / "out/deep/a").write_text("harmless")
    for path in (*run.work.rglob("*"), run.work):
        os.chown(path, user.pw_uid, user.pw_gid)
    time.sleep(random.uniform(0, 0.005))  # it has to be met at ever different moments
    warnings = keep_outputs(run)
    kept = [file for file in (run.folder / "outputs").rglob("*") if not file.is_dir()]
    assert all(file.is_file() and file.read_text() == "harmless" for file in kept)
    shutil.rmtree(run.folder / "outputs", ignore_errors=True)
    return warnings


def test_a_user_who_is_gone_is_the_reason_of_a_failed_run(script_user, a_run, settings):
    run = a_run("id -un")
    settings.SCRIPT_USER = "gone-since"
    assert launched(run) is None
    assert (run.state, run.return_code) == (State.FAILED, 127)
    assert "could not start: SCRIPT_USER gone-since: there is no such user" in printed(run)


def test_nothing_is_wrong_with_a_user_who_can_work(script_user, settings):
    assert problem() is None
    assert owner(settings.EXECUTION_DIR) == (0, 0, "0o711")
    settings.SCRIPT_USER = None
    assert problem() is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no-such-user", "there is no user 'no-such-user'"),
        ("a\0b", "there is no user"),
        ("root", "root may do anything"),
    ],
)
def test_a_user_who_cannot_be_used_is_named(script_user, settings, name, reason):
    settings.SCRIPT_USER = name
    assert problem().startswith("SCRIPT_USER: ")
    assert reason in problem()


def test_the_servers_own_user_cannot_be_used(script_user, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: script_user.pw_uid)
    assert (
        problem() == f"SCRIPT_USER: {script_user.pw_name} is the user of this server itself; name another, or unset it."
    )


def test_only_root_can_switch_users(script_user, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: script_user.pw_uid + 1)
    assert problem().startswith("SCRIPT_USER: only root can start scripts as another user;")


@pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv to be a root who may not")
def test_nor_can_a_root_without_the_capability(place, site):
    command = ["setpriv", "--bounding-set=-setuid,-setgid", "--inh-caps=-setuid,-setgid"]
    manage = [sys.executable, "manage.py", "serve"]
    environment = os.environ | place | {"DATA_DIR": str(site.data), "RUNBOOKS_DIR": str(site.runbooks)}
    refused = subprocess.run(
        [*command, *manage], cwd=ROOT, env=environment, capture_output=True, timeout=30, check=False
    )
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert refused.stderr.startswith(b"SCRIPT_USER: only root can start scripts as another user;")


def close(folder: Path) -> None:
    folder.parent.chmod(0o700)


def open_wide(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)


def open_above(folder: Path) -> None:
    folder.parent.chmod(0o777)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (close, "EXECUTION_DIR: {user} cannot enter {folder}; give it, and each folder above it, mode 711."),
        (open_wide, "EXECUTION_DIR: {user} can change {folder}; make it root's, and not writable by others."),
        (open_above, "EXECUTION_DIR: {user} can change {folder.parent}; make it root's, and not writable by others."),
    ],
)
def test_a_place_that_cannot_be_used_is_named(script_user, settings, change, reason):
    change(settings.EXECUTION_DIR)
    assert problem() == reason.format(user=script_user.pw_name, folder=settings.EXECUTION_DIR)


def test_data_that_is_open_to_the_user_is_refused(script_user, settings):
    settings.DATA_DIR = settings.EXECUTION_DIR.parent / "data"
    settings.DATA_DIR.mkdir(mode=0o755)
    assert problem() == f"DATA_DIR: {settings.DATA_DIR} is open to {script_user.pw_name}; give it mode 700."


@pytest.mark.parametrize("command", [("serve",), ("runner",), ("execute", "wait")], ids=lambda command: command[0])
def test_no_command_starts_scripts_that_it_could_not_run(place, site, command):
    folders = {"DATA_DIR": str(site.data), "RUNBOOKS_DIR": str(site.runbooks), "SCRIPT_USER": place["SCRIPT_USER"]}
    with running("manage.py", *command, stdout=site.data / "out", **folders) as process:
        assert process.process.wait(20) != 0
    expected = "EXECUTION_DIR: it is in DATA_DIR, which is closed to SCRIPT_USER; set it to a folder elsewhere.\n"
    assert (process.complaints, process.stdout.read_text()) == (expected, "")


def test_a_web_process_that_runs_nothing_needs_no_such_user(site):
    folders = {"DATA_DIR": str(site.data), "API_PORT": str(free_port()), "SCRIPT_USER": "no-such-user"}
    with running("manage.py", "serve", "--no-runner", stdout=site.data / "out", **folders) as process:
        assert process.will_say("ready")


def test_dev_stderr_and_dev_stdout_are_open_to_a_script(script_user, a_run, finish):
    run = finish(a_run("set -e; echo a > /dev/stdout; echo b > /dev/stderr"))
    assert (run.state, sorted(printed(run).split())) == (State.SUCCEEDED, ["a", "b"])


def test_what_is_kept_cannot_be_changed_by_who_still_has_it_open(script_user, a_run, begin, tmp_path):
    files = "Input:\nOutput:\n  - held.txt"
    away = "setsid sh -c 'touch away; exec sleep 60' > /dev/null 2>&1"
    run = a_run(f"exec 3> held.txt; echo kept >&3; {away} & until [ -e away ]; do sleep 0.01; done", files=files)
    begin(run).wait()
    (holder,) = until(lambda: processes_with_open(run.work / "held.txt"))
    assert settle_if_ended(run)
    kept = run.folder / "outputs/held.txt"
    with Path(f"/proc/{holder}/fd/3").open("a") as still_open:
        still_open.write("changed later\n")
    assert kept.read_text() == "kept\n"
    os.kill(holder, signal.SIGKILL)


def processes_with_open(path: Path) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdecimal() and any(file.readlink() == path for file in (entry / "fd").iterdir()):
                found.append(int(entry.name))
    return found
