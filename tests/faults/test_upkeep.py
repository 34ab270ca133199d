"""Backups and prunes while everything goes on, when they are killed, and when the disk is full; and a restore."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from runbooks.execution.retention import STRAY_SECONDS
from tests.conftest import runbook_source
from tests.faults.person import signed_in_person
from tests.faults.shell import begun, environment_of, manage
from tests.processes import ROOT, Process, until
from tests.serving import Program, Site, signed_in

BACKUPS = 20
TWENTY = f"""
import sys, django
from pathlib import Path
django.setup()
from runbooks.execution import archive
for number in range({BACKUPS}):
    archive.write(Path(sys.argv[1], f"{{number}}.tar.gz"))
"""
PRINT = """for i in $(seq 40); do seq 100; echo "with $API_TOKEN"; sleep 0.01; done"""
TYPED = "typed-into-the-form"
MANY = 500


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    (tmp_path / "archives").mkdir()
    return tmp_path / "archives"


@pytest.fixture
def busy(site: Site) -> Iterator[tuple[Site, Process]]:
    """A server on which five runs print and others wait, each with a secret."""
    add(site, "print.md", script=PRINT, requirements={"API_TOKEN": "secret"})
    with site.serving(MAX_CONCURRENT_RUNS="5") as server:
        yield site, server
        until(lambda: has_ended(site))


def add(site: Site, path: str, **contents: object) -> None:
    (site.runbooks / path).write_text(runbook_source(name=path.removesuffix(".md"), **contents))


def start(program: Program, path: str = "print.md", **values: str) -> int:
    headers = {"Prefer": "respond-async"}
    status, said = program("POST", f"/api/runbooks/{path}/execute", {"env_vars": values}, **headers)
    assert status == 202, said
    return said["run_id"]


def has_ended(site: Site) -> bool:
    return not {state for (state,) in site.query("state")} & {"queued", "running"}


def unpacked(archive: Path) -> Path:
    """As docs/operating.md has it done."""
    data = archive.with_name(f"{archive.name}.d")
    data.mkdir(mode=0o700)
    subprocess.run(["tar", "-xzf", archive, "-C", data], check=True)
    return data


def test_each_of_twenty_backups_is_whole_while_runs_begin_print_and_end(busy, archives):
    site, server = busy
    program, person = signed_in(server), signed_in_person(server)
    environment = environment_of(site) | {"DJANGO_SETTINGS_MODULE": "runbookweb.settings"}
    backups = subprocess.Popen([sys.executable, "-c", TWENTY, archives], cwd=ROOT, env=environment)
    sealed = set()
    while backups.poll() is None:
        if sum(state in ("queued", "running") for (state,) in site.query("state")) < 8:
            start(program, API_TOKEN=TYPED)
        sealed |= {value for (value,) in site.query("sealed_values") if value}
        with contextlib.suppress(subprocess.TimeoutExpired):
            backups.wait(0.02)
    assert (backups.returncode, len(list(archives.iterdir()))) == (0, BACKUPS)
    secrets = {TYPED.encode(), person.cookies["runbookweb_session"].encode(), *sealed}
    secrets |= {(site.data / name).read_bytes() for name in ("secret_key", "jwt_secret")}
    assert len(secrets) > 4
    found = [whole(site, unpacked(archive), secrets=secrets) for archive in sorted(archives.iterdir())]
    assert {state for states in found for state in states} == {"succeeded", "lost", "cancelled"}


def whole(site: Site, data: Path, *, secrets: set[bytes]) -> list[str]:
    """Check one unpacked backup; the states of the runs in it."""
    for file in filter(Path.is_file, data.rglob("*")):
        content = file.read_bytes()
        assert not [secret for secret in secrets if secret in content], file
    backup = Site(data, site.runbooks)
    with contextlib.closing(sqlite3.connect(data / "db.sqlite3")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("SELECT count(*) FROM django_session").fetchall() == [(0,)]
    runs = backup.query("id, state, sealed_values")
    for run, state, sealed in runs:
        assert sealed is None
        if state != "cancelled":
            kept, original = (folder / f"runs/{run}/log" for folder in (data, site.data))
            is_whole = kept.read_bytes() == original.read_bytes()
            assert is_whole or (state == "lost" and original.read_bytes().startswith(kept.read_bytes()))
            assert kept.read_bytes()[-1:] in (b"", b"\n")
    return [state for _, state, _ in runs]


def test_a_backup_is_restored_as_the_documentation_says(site, archives):
    add(site, "print.md", script=PRINT, requirements={"API_TOKEN": "secret"})
    with site.serving() as server:
        run, going = (start(signed_in(server), path, API_TOKEN=TYPED) for path in ("print.md", "wait.md"))
        until(lambda: site.query("state") == [("succeeded",), ("running",)] and "begun" in site.printed(going))
        cookies = dict(signed_in_person(server).cookies)
        said = manage(site, "backup", archives / "backup.tar.gz")
        assert said.stdout.startswith(f"{archives}/backup.tar.gz: 2 runs, "), said.stderr
    settled = (site.runbooks / "print.md").read_bytes()
    restored = Site(unpacked(archives / "backup.tar.gz"), site.runbooks)
    with restored.serving() as server:
        page = httpx.get(f"http://127.0.0.1:{server.port}/runs/", cookies=cookies)
        assert page.headers["Location"].startswith("/login/")  # everybody signs in again
        person = signed_in_person(server)
        assert ">succeeded</span>" in person.get(f"/runs/{run}/").text
        assert person.get(f"/runs/{run}/log.txt").text == site.printed(run)
        assert "It went on when a backup was made" in person.get(f"/runs/{going}/").text
        # The old server has told of a run that this one does not know.
        (site.runbooks / "print.md").write_bytes(settled.replace(b"Run 1 ", b"Run 3 "))
        assert manage(restored, "rebuild_history", "print").returncode == 0
        assert (site.runbooks / "print.md").read_bytes() == settled
        assert start(signed_in(server), API_TOKEN="x") == 3
        until(lambda: restored.query("state") == [("succeeded",), ("lost",), ("succeeded",)])
        assert (site.runbooks / "print.md").read_bytes().startswith(settled)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143)])
def test_of_a_backup_that_is_ended_nothing_is_left_that_looks_like_one(large, archives, number, code):
    backup = begun(large, "backup", archives / "backup.tar.gz")
    draft = archives / ".backup.tar.gz.draft/archive"
    until(lambda: draft.exists() and draft.stat().st_size > 100_000)
    backup.send_signal(number)
    _, complaints = backup.communicate(timeout=20)
    assert (backup.returncode, complaints) == (code, b"")
    left = [path.name for path in archives.iterdir()]
    assert left == ([".backup.tar.gz.draft"] if number == signal.SIGKILL else [])
    assert manage(large, "backup", archives / "backup.tar.gz").returncode == 0
    assert [path.name for path in archives.iterdir()] == ["backup.tar.gz"]


@pytest.mark.parametrize("blocks", [100, 4000])
def test_of_a_backup_for_which_there_is_no_room_nothing_is_left(large, archives, blocks):
    limited = ["sh", "-c", f'ulimit -f {blocks}; exec "$@"', "sh"]
    said = manage(large, "backup", archives / "backup.tar.gz", around=limited)
    assert said.returncode == 1
    assert str(archives) in said.stderr
    assert "Traceback" not in said.stderr
    assert list(archives.iterdir()) == []


@pytest.fixture
def large(site: Site) -> Site:
    """A site with a run whose output does not become smaller."""
    put(site, 1)
    (site.data / "runs/1/outputs").mkdir()
    (site.data / "runs/1/outputs/noise").write_bytes(os.urandom(12_000_000))
    return site


def put(site: Site, count: int) -> None:
    """Past runs, as many, that have ended long ago."""
    columns = "runbook, state, actor, claims, 'values', source, timeout, correlation_id, cancelled_by, killed, warnings"
    row = "'wait.md', 'succeeded', 'ann', '{}', '{}', '# wait', 1, '', '', 0, '[]'"
    more = "queued_at, started_at, ended_at, is_pinned, is_in_history, address, reason, revision, note, noted_by"
    then = "'2020-01-01 00:00:00', '2020-01-01 00:00:00', '2020-01-01 00:00:00', 0, 0, '', '', '', '', ''"
    with contextlib.closing(sqlite3.connect(site.data / "db.sqlite3")) as database, database:
        for _ in range(count):
            database.execute(f"INSERT INTO runbooks_run ({columns}, {more}) VALUES ({row}, {then})")  # noqa: S608
    for run in range(1, count + 1):
        (site.data / f"runs/{run}").mkdir(parents=True)
        (site.data / f"runs/{run}/log").write_bytes(b"2026-11-22T16:23:59.123456Z stdout F hello\n")


def test_a_prune_that_is_killed_leaves_no_run_without_its_log_and_the_next_one_ends_it(site):
    put(site, MANY)
    prune = begun(site, "prune_runs", "--days=1")
    until(lambda: len(site.query("id")) < MANY)
    prune.kill()
    prune.communicate()
    left = {str(run) for (run,) in site.query("id")}
    folders = {path.name: path for path in (site.data / "runs").iterdir()}
    assert left
    assert left <= set(folders)
    for name in set(folders) - left:
        os.utime(folders[name], (folders[name].stat().st_mtime - 2 * STRAY_SECONDS,) * 2)
    pin(site, MANY)
    assert manage(site, "prune_runs", "--days=1").returncode == 0
    assert [path.name for path in (site.data / "runs").iterdir()] == [str(MANY)]


def test_a_server_prunes_by_itself_when_it_starts(site):
    put(site, 3)
    pin(site, 2)
    with site.serving(RUN_RETENTION_DAYS="1") as server:
        until(lambda: [path.name for path in (site.data / "runs").iterdir()] == ["2"])
        assert site.query("id") == [(2,)]
        assert server.stop() == 0


def pin(site: Site, run: int) -> None:
    with contextlib.closing(sqlite3.connect(site.data / "db.sqlite3")) as database, database:
        database.execute("UPDATE runbooks_run SET is_pinned = 1 WHERE id = ?", [run])


def test_who_looks_at_a_run_while_it_is_pruned_gets_all_of_it_or_is_told_that_it_is_gone(busy):
    site, server = busy
    program = signed_in(server)
    runs = [start(program, API_TOKEN=TYPED) for _ in range(8)]
    until(lambda: has_ended(site))
    with ThreadPoolExecutor(8) as threads:
        viewers = [threads.submit(looked_at, server, run, site.printed(run)) for run in runs]
        said = manage(site, "prune_runs", "--bytes=1")
        assert said.stdout.startswith("Removed: 8 runs, "), said.stderr
        assert all(viewer.result() for viewer in viewers)
    assert site.query("id") == []
    assert '"exception"' not in server.complaints


def looked_at(server: Process, run: int, log: str) -> int:
    """Look at the run's page, log and stream until all are gone; how often there was something to see."""
    person = signed_in_person(server)
    seen, asked = 0, {"", "log.txt", "events/"}
    while asked:
        for name in sorted(asked):
            answer: httpx.Response = person.get(f"/runs/{run}/{name}")
            assert answer.status_code in (200, 404), (name, answer.status_code)
            if answer.status_code == 404:
                asked.remove(name)
            elif name == "log.txt":
                assert answer.text == log
            seen += answer.status_code == 200
    return seen
