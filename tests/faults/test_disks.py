"""Disks that are full or read-only, under everything that is written to: what can be said is said, and all recovers.

The disk with DATA_DIR is filled once, under a server with scripts that print; the tests look at what came of it.
"""

import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from runbooks.models import State
from tests.conftest import runbook_source
from tests.faults.disk import Disk, Disks, disks
from tests.faults.person import Person, signed_in_person
from tests.processes import Process, free_port, running, until
from tests.serving import Site, signed_in

COUNT = """
until [ -e {0}-$RUNBOOK_RUN_ID ]; do
  n=$((n + 1)); echo "line $n"; echo $n > {0}.said-$RUNBOOK_RUN_ID; sleep 0.01
done
"""
# Says when it has printed a megabyte, and waits.
MUCH = """
echo begun; until [ -e {0}-1 ]; do sleep 0.02; done
seq 1 160000; touch {0}-2; until [ -e {0}-3 ]; do sleep 0.02; done
"""
# While others load the machine, what a request has kept on the full disk goes late, and makes room meanwhile.
pytestmark = pytest.mark.alone
READ = ("/runbooks/", "/runbooks/count.md/", "/runs/", "/runs/1/", "/runs/1/log.txt", "/configuration/", "/healthz")


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Disks]:
    with disks(tmp_path) as mount:
        yield mount


@dataclass
class Full:
    """What was seen while the disk with DATA_DIR was full, and when it no longer was."""

    reads: dict[str, int] = field(default_factory=dict)
    readiness: httpx.Response | None = None
    page: httpx.Response | None = None
    answer: httpx.Response | None = None
    long_request: httpx.Response | None = None
    during: list[tuple] = field(default_factory=list)
    runs: list[tuple] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)
    integrity: str = ""
    history: str = ""
    complaints: str = ""


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Iterator[Full]:
    folder, full = tmp_path_factory.mktemp("full"), Full()
    with disks(folder) as mount:
        disk, site = mount("data"), Site(folder / "data", folder / "runbooks")
        shutil.copy(migrated, site.data)
        site.runbooks.mkdir()
        for name in ("out", "out.stderr"):
            (site.data / name).symlink_to(folder / name)  # what the server says goes to another disk
        (site.runbooks / "count.md").write_text(runbook_source(name="count", script=COUNT.format(folder / "go")))
        with site.serving(EXECUTION_DIR=str(folder / "work"), TMPDIR=str(site.data)) as server:
            _fill_and_make_room(full, disk, site, server, folder)
            full.complaints = server.complaints
        full.history = (site.runbooks / "count.md").read_text()
        with sqlite3.connect(site.data / "db.sqlite3") as database:
            full.integrity = database.execute("PRAGMA integrity_check").fetchone()[0]
        database.close()
    return full


def _fill_and_make_room(full: Full, disk: Disk, site: Site, server: Process, folder: Path) -> None:
    person, program = signed_in_person(server), signed_in(server, "sre")
    ask = {"Authorization": program.authorization, "Prefer": "respond-async"}
    assert [program.execute("count.md")[0] for _ in range(2)] == [202] * 2
    assert send_much(person, ask).status_code == 400  # Python looks for a folder for temporary files once only
    until(lambda: "line 3" in site.printed(1) and "line 3" in site.printed(2))
    # Again and again: what a request has kept on the disk may go only then, and leave room for thousands of lines.
    until(lambda: disk.fill() or min(held(site, folder, run) for run in (1, 2)) > 20)
    (folder / "go-2").touch()  # it ends while the disk is full
    full.reads = {path: person.get(path).status_code for path in READ}
    full.readiness = person.get("/readyz")
    full.page = person.start("count.md")
    full.answer = person.post("/api/runbooks/count.md/execute", json={"env_vars": {}}, headers=ask)
    full.long_request = send_much(person, ask)
    before = said(folder, 1)
    until(lambda: (site.data / "runs/2/result").exists())
    until(lambda: said(folder, 1) > before + 20)
    full.during = site.query("state")
    disk.make_room()
    until(lambda: said(folder, 1) - held(site, folder, 1) > before)
    (folder / "go-1").touch()
    until(lambda: site.query("state") == [("succeeded",)] * 2)
    (folder / "go-3").touch()
    assert program.execute("count.md")[0] == 202
    until(lambda: site.query("state") == [("succeeded",)] * 3)
    full.runs = site.query("return_code, warnings")
    full.printed = [site.printed(run) for run in (1, 2)]


def send_much(person: Person, headers: dict[str, str]) -> httpx.Response:
    """Send a request that is kept on the disk until all of it is there."""
    values = {"env_vars": {"X" * 200_000: ""}}
    return person.patch("/api/runbooks/count.md/validate", json=values, headers=headers)


def said(folder: Path, run: int) -> int:
    """The last number that a script has printed, as it says in a file on another disk."""
    return int((folder / f"go.said-{run}").read_text() or 0)


def held(site: Site, folder: Path, run: int) -> int:
    """How many of its lines are not in its log."""
    return said(folder, run) - lines(site.printed(run))[-1]


def lines(printed: str) -> list[int]:
    return [int(number) for number in re.findall(r" stdout F line (\d+)\n", printed)]


def test_who_only_reads_is_served_from_a_full_disk(full):
    assert full.reads == dict.fromkeys(READ, 200)


def test_the_server_is_not_ready_for_runs_and_says_why(full):
    assert full.readiness.status_code == 503
    assert full.readiness.json()["checks"]["data_dir"] == "DATA_DIR cannot be written: No space left on device."


def test_a_person_who_starts_a_run_is_told_that_there_is_no_room(full):
    assert (full.page.status_code, full.page.headers["Retry-After"]) == (503, "10")
    assert re.search("The disk with the database|No space left on device", full.page.text)
    assert "Nothing was started." in full.page.text


def test_a_program_that_starts_a_run_is_told_that_there_is_no_room(full):
    assert (full.answer.status_code, full.answer.headers["Retry-After"]) == (503, "10")
    sentence = full.answer.json()["error"]
    assert re.fullmatch(r"(The disk with the database|.*No space left).*\. Nothing was started; .*\.", sentence)


def test_a_long_request_that_cannot_be_kept_is_answered_all_the_same(full):
    assert full.long_request.status_code == 503
    assert full.long_request.json()["error"].startswith("This server's disk has no room for the request")


def test_a_script_goes_on_while_the_disk_is_full_and_no_line_is_lost(full):
    printed = lines(full.printed[0])
    assert printed == list(range(1, len(printed) + 1))
    assert "[runbook]" not in full.printed[0]


def test_a_run_that_ends_while_the_disk_is_full_settles_when_there_is_room(full):
    assert full.during[1] in [("running",), ("succeeded",)]
    (code, warnings) = full.runs[1]
    printed = lines(full.printed[1])
    assert (code, printed) == (0, list(range(1, len(printed) + 1)))
    assert re.search(r"\d+ bytes at the log's end are missing: No space left on device", warnings)


def test_afterwards_everything_is_as_it_should_be(full):
    assert [code for code, _ in full.runs] == [0, 0, 0]
    assert full.integrity == "ok"
    assert len(re.findall("^Run [123] by `ann`$", full.history, re.M)) == 3
    assert "Traceback" not in full.complaints


def test_of_more_than_can_be_held_the_end_is_kept_and_the_gap_is_told(mount, supervise, tmp_path):
    disk, go = mount("supervised"), tmp_path / "go"
    supervised = supervise(MUCH.format(go)).has_printed(b"begun\n")
    disk.fill()
    step(go, 1)
    until(go.with_name("go-2").exists)
    disk.make_room()
    supervised.has_printed(b"\n160000\n")
    step(go, 3)
    assert supervised.ended().warnings == ()
    (note,) = supervised.notes()
    told = re.fullmatch(r"\[runbook\] (\d+) bytes of output were left out here: the log could not be .*", note)
    assert len(supervised.printed()) + int(told[1]) == len(everything())
    assert len(supervised.printed()) > 256 * 1024
    assert everything().endswith(supervised.printed()[-200_000:])


def test_what_is_missing_when_the_disk_is_full_to_the_end_is_counted(mount, supervise, tmp_path):
    disk, go = mount("supervised"), tmp_path / "go"
    supervised = supervise(MUCH.format(go)).has_printed(b"begun\n")
    disk.fill()
    step(go, 1)
    step(go, 3)
    result = supervised.ended()
    (warning,) = result.warnings
    missing = re.fullmatch(r"(\d+) bytes at the log's end are missing: No space left on device", warning)
    assert (result.state, result.return_code) == (State.SUCCEEDED, 0)
    assert len(supervised.printed()) + int(missing[1]) == len(everything())
    assert everything().startswith(supervised.printed())


def step(go: Path, number: int) -> None:
    go.with_name(f"go-{number}").touch()


def everything() -> bytes:
    """What MUCH prints."""
    return b"begun\n" + b"".join(b"%d\n" % number for number in range(1, 160_001))


def test_without_room_for_its_input_files_a_run_fails_and_says_so(mount, settings, library, a_run, begin):
    disk = mount("work")
    library.add("hosts.txt", "one host\n" * 10_000)
    run = a_run(files="Input:\n- hosts.txt\n")
    disk.fill()
    assert begin(run) is None
    run.refresh_from_db()
    assert (run.state, run.return_code) == (State.FAILED, 127)
    assert re.search(r"could not start: .*No space left on device", run.log.read_text())
    assert [path.name for path in disk.folder.iterdir()] == ["ballast"]


def test_a_runbook_on_a_read_only_disk_runs_and_the_run_says_that_its_history_lacks_it(mount, library, a_run, finish):
    disk = mount("runbooks")
    run = a_run()
    before = (disk.folder / "restart.md").read_bytes()
    disk.make_read_only()
    run = finish(run)
    assert (run.state, run.warnings) == (State.SUCCEEDED, ["History was not written: restart.md is read-only."])
    assert (disk.folder / "restart.md").read_bytes() == before


def start(data: Path, out: Path) -> AbstractContextManager[Process]:
    environment = {"DATA_DIR": str(data), "RUNBOOKS_DIR": str(out), "API_PORT": str(free_port())}
    return running("manage.py", "serve", "--migrate", stdout=out / "out", **environment)


def refusal(data: Path, out: Path) -> str:
    """What a start says that fails."""
    with start(data, out) as server:
        assert server.process.wait(20) == 1
        assert server.stdout.read_text() == ""
        return server.complaints


def test_a_start_on_a_read_only_disk_is_refused_in_a_sentence(mount, tmp_path, migrated):
    empty, used = mount("empty"), mount("used")
    shutil.copy(migrated, used.folder)
    for disk in (empty, used):
        disk.make_read_only()
        told = refusal(disk.folder, tmp_path)
        assert told == (
            f"DATA_DIR: cannot write {disk.folder}/db.sqlite3: Read-only file system. Set it to a folder of yours.\n"
        )


def test_a_start_on_a_full_disk_is_refused_in_a_sentence_and_goes_well_with_room(mount, tmp_path, migrated):
    empty, used = mount("empty"), mount("used")
    shutil.copy(migrated, used.folder)
    for disk in (used, empty):
        disk.fill()
        assert re.fullmatch(r"(DATA_DIR|The database).*(No space left|[Dd]isk).*\.\n", refusal(disk.folder, tmp_path))
    empty.make_room()
    with start(empty.folder, tmp_path) as server:
        assert server.will_say("is ready")
