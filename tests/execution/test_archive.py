"""What is in a backup, and what is not."""

import os
import sqlite3
import subprocess
import tarfile
from contextlib import closing
from pathlib import Path

import pytest
from django.contrib.sessions.models import Session

from runbooks.execution import archive, retention
from runbooks.execution.archive import CannotBackUp
from runbooks.models import Run, State
from tests.conftest import client_of
from tests.processes import read_from_outside

from .supervising import until

OUTPUTS = "Output:\n- out\n"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups/backup.tar.gz"


def names(target: Path) -> list[str]:
    with tarfile.open(target) as found:
        return found.getnames()


def unpacked(target: Path) -> Path:
    """The folder that an operator unpacks the archive into."""
    data = target.with_name("unpacked")
    data.mkdir(mode=0o700)
    subprocess.run(["tar", "-xzf", target, "-C", data], check=True)
    return data


def rows(data: Path, columns: str) -> list[tuple]:
    with closing(sqlite3.connect(data / "db.sqlite3")) as database:
        return database.execute(f"SELECT {columns} FROM runbooks_run ORDER BY id").fetchall()  # noqa: S608


def test_it_has_the_database_and_what_ended_runs_have_left(a_run, finish, target):
    run = finish(a_run("echo hello; mkdir -p out/empty; echo 1 > out/report", files=OUTPUTS))
    backup = archive.write(target)
    kept = ["log", "result", "outputs", "outputs/out", "outputs/out/empty", "outputs/out/report"]
    assert sorted(names(target)) == sorted(["db.sqlite3", *(f"runs/{run.pk}/{name}" for name in kept)])
    assert (backup.runs, backup.bytes, backup.left_out) == (1, target.stat().st_size, [])
    data = unpacked(target)
    for name in ("log", "result", "outputs/out/report"):
        assert (data / f"runs/{run.pk}/{name}").read_bytes() == (run.folder / name).read_bytes()
    assert rows(data, "state, return_code") == [("succeeded", 0)]


def test_it_is_for_its_owner_alone(a_run, finish, target):
    finish(a_run("mkdir out; echo 1 > out/report; chmod 777 out out/report", files=OUTPUTS))
    archive.write(target)
    assert target.stat().st_mode & 0o777 == 0o600
    with tarfile.open(target) as found:
        assert {(member.mode, member.isdir()) for member in found} == {(0o600, False), (0o700, True)}
        assert {member.uid for member in found} == {os.getuid()}


def test_what_waits_or_goes_on_is_not_to_start_a_second_time(a_run, begin, target):
    going, waiting = a_run("echo begun; printf half; sleep 60"), a_run(name="other")
    begin(going)
    until(lambda: b" P half" in going.log.read_bytes())
    log = going.log.read_bytes()
    with going.log.open("ab") as file:
        file.write(b"half an entry")
    archive.write(target)
    data = unpacked(target)
    (lost,), (cancelled,) = rows(data, "state, return_code, ended_at, warnings")[0:1], rows(data, "state, warnings")[1:]
    assert (lost[0], lost[1], bool(lost[2])) == (State.LOST, None, True)
    assert "It went on when a backup was made" in lost[3]
    assert cancelled[0] == State.CANCELLED
    assert "It waited when a backup was made" in cancelled[1]
    assert names(target) == ["db.sqlite3", f"runs/{going.pk}/log"]
    assert (data / f"runs/{going.pk}/log").read_bytes() == log
    # And the runs themselves are as they were.
    assert [run.state for run in Run.objects.order_by("pk")] == [State.RUNNING, State.QUEUED]
    assert waiting.folder.exists()


def test_no_secret_of_a_queued_run_and_no_session_is_in_it(a_run, target, database):
    run = a_run(requirements={"API_TOKEN": "secret"}, values={"API_TOKEN": "typed by alice"})
    client_of("alice")
    session = Session.objects.get().session_key
    assert run.sealed_values
    archive.write(target)
    found = (unpacked(target) / "db.sqlite3").read_bytes()
    for secret in (bytes(run.sealed_values), session.encode(), b"typed by alice"):
        assert secret not in found
    assert bytes(run.sealed_values) in read_from_outside(database, database.with_name(f"{database.name}-wal"))


def test_what_was_deleted_is_in_no_page_of_it(database, target):
    secret = "a session of long ago"
    Session.objects.create(session_key=secret, session_data="x", expire_date="2026-11-22T16:00Z")
    Session.objects.all().delete()
    archive.write(target)
    assert secret.encode() not in (unpacked(target) / "db.sqlite3").read_bytes()


def test_links_and_pipes_among_the_outputs_are_left_out(a_run, finish, target):
    run = finish(a_run("mkdir out; echo 1 > out/report", files=OUTPUTS))
    out = run.folder / "outputs/out"
    (out / "passwords").symlink_to("/etc/passwd")
    (out / "all").symlink_to("/etc")
    os.mkfifo(out / "pipe")
    backup = archive.write(target)
    assert sorted(backup.left_out) == [str(out / name) for name in ("all", "passwords", "pipe")]
    assert [name for name in names(target) if "/out/" in name] == [f"runs/{run.pk}/outputs/out/report"]


def test_a_run_without_a_folder_is_in_the_database(a_run, finish, target):
    run = finish(a_run())
    run.folder.rename(run.folder.with_name("elsewhere"))
    assert archive.write(target).runs == 1
    assert names(target) == ["db.sqlite3"]


def test_what_is_there_already_stays(database, target):
    target.write_text("last year's")
    with pytest.raises(CannotBackUp, match="is there already"):
        archive.write(target)
    target.unlink()
    target.symlink_to("nowhere")
    with pytest.raises(CannotBackUp, match="is there already"):
        archive.write(target)
    assert os.listdir(target.parent) == [target.name]  # noqa: PTH208


def test_a_folder_that_is_not_there_is_named(database, target):
    with pytest.raises(CannotBackUp, match=f"There is no folder {target.parent}/deep; make it first"):
        archive.write(target.parent / "deep/backup.tar.gz")


def test_there_is_no_backup_while_runs_are_pruned(database, target):
    with retention.alone(), pytest.raises(CannotBackUp, match="A prune or a backup goes on already"):
        archive.write(target)
    assert list(target.parent.iterdir()) == []


def test_two_backups_to_one_file_do_not_disturb_each_other(database, target):
    with archive._drafts(target) as drafts:
        (drafts / "archive").touch()
        with pytest.raises(CannotBackUp, match=r"Another backup to .* goes on"):
            archive.write(target)
        assert (drafts / "archive").exists()
    archive.write(target)
    assert os.listdir(target.parent) == [target.name]  # noqa: PTH208
