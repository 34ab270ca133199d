"""A file that comes with a start: kept while its run waits, copied for its script, and recorded by name and hash."""

import hashlib
import os
import stat

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from runbooks.document.validate import InvalidValues
from runbooks.execution import control, uploads
from runbooks.execution.control import Upload
from runbooks.library import runbook_for
from runbooks.models import Run, State

from .conftest import ALICE
from .test_launch import printed

DUMP = Upload("dump.sql", b"select 1;\n\0\xff")
ASKING = {"DUMP": "{type: file}", "NOTE": "{required: false}"}


@pytest.fixture
def start(database, library, a_runbook, mark):
    """Queue a run that gets a file."""

    def start(script: str = 'cat "$DUMP"', *, values=None, requirements=ASKING, **given: object) -> Run:
        library.add("load.md", a_runbook(name="load", requirements=requirements, script=script))
        return control.start_run(ALICE, runbook_for(ALICE, "load.md"), values=values or {}, **given)

    return start


def kept(run: Run) -> list[str]:
    folder = run.folder / uploads.FOLDER
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_script_gets_the_path_of_its_own_copy(start, finish, settings):
    run = finish(start('echo "$DUMP"; ls -l "$DUMP" | cut -c 1-10; od -An -tx1 "$DUMP"', files={"DUMP": DUMP}))
    path, mode, *dumped = printed(run).splitlines()
    assert path == f"{settings.EXECUTION_DIR}/{run.pk}/uploads/DUMP/dump.sql"
    assert mode == "-rw-------"
    assert bytes.fromhex("".join(dumped)) == DUMP.content


def test_the_run_records_what_the_file_was_and_not_what_is_in_it(start):
    run = start(files={"DUMP": DUMP})
    assert run.values["DUMP"] == f"dump.sql (12 bytes, sha256 {hashlib.sha256(DUMP.content).hexdigest()})"


def test_while_it_waits_only_the_server_can_read_the_file(start):
    run = start(files={"DUMP": DUMP})
    folder = run.folder / uploads.FOLDER
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*"))}
    assert modes == {"uploads": 0o700, "DUMP": 0o700, "dump.sql": 0o600}


def test_nothing_of_it_is_left_when_the_run_has_started(start, finish):
    run = finish(start(files={"DUMP": DUMP}))
    assert (run.state, kept(run), run.work.exists()) == (State.SUCCEEDED, [], False)


def test_nothing_of_it_is_left_of_a_run_that_is_cancelled_in_the_queue(start):
    run = start(files={"DUMP": DUMP})
    assert kept(run) == ["DUMP/dump.sql"]
    control.cancel_run(ALICE, run)
    assert not (run.folder / uploads.FOLDER).exists()


def test_nothing_of_it_is_left_of_a_run_that_could_not_start(start, finish, monkeypatch):
    run = start(files={"DUMP": DUMP})
    monkeypatch.setattr("runbooks.execution.launch.interpreter", lambda script: ["/nowhere/sh"])
    assert finish(run).return_code == 127
    assert kept(run) == []


def test_a_run_whose_file_is_gone_says_so_and_does_not_start(start, begin):
    run = start(files={"DUMP": DUMP})
    uploads.forget(run)
    begin(run)
    run.refresh_from_db()
    assert run.state == State.FAILED
    assert "DUMP has lost its file; start another run with it." in run.log.read_text()


def test_a_text_is_a_file_with_that_text_in_it(start, finish):
    run = finish(start('basename "$DUMP"; cat "$DUMP"', values={"DUMP": "select 'ü';\n"}))
    assert printed(run) == "DUMP.txt\nselect 'ü';\n"


def test_a_file_that_may_be_left_out_is_nothing(start, finish):
    run = finish(start('echo "[$DUMP]"', requirements={"DUMP": "{type: file, required: false}"}))
    assert (printed(run), run.values["DUMP"]) == ("[]\n", "")


def test_of_two_files_for_one_field_nobody_can_say_which_was_meant(alice_client, library, a_runbook):
    library.add("load.md", a_runbook(requirements={"DUMP": "{type: file}"}))
    two = [SimpleUploadedFile("a.sql", b"a"), SimpleUploadedFile("b.sql", b"b")]
    answer = alice_client.post("/runbooks/load.md/runs/", {"DUMP": two})
    assert answer.status_code == 422
    assert "choose one file." in answer.content.decode().casefold()
    assert not Run.objects.exists()


def test_all_that_is_wrong_is_said_at_once(start):
    asking = dict.fromkeys(("A", "B", "C", "D"), "{type: file}") | {"COUNT": "{type: number}"}
    half = Upload("half", b"x" * (uploads.LARGEST // 2 + 1))
    with pytest.raises(InvalidValues) as invalid:
        start(
            requirements=asking, files={"A": Upload("a", b""), "B": half, "C": half, "E": DUMP}, values={"COUNT": "x"}
        )
    assert invalid.value.errors == {
        "A": "this file is empty; choose another.",
        "C": "with this file all files together are larger than 2,500,000 bytes.",
        "D": "a file is needed.",
        "E": "the runbook does not ask for a file of this name.",
        "COUNT": "this must be a number, such as 5 or 0.25.",
    }
    assert not Run.objects.exists()


def test_a_full_disk_is_said_and_leaves_neither_run_nor_file(start, monkeypatch, settings):
    monkeypatch.setattr(uploads.os, "fdopen", full_disk)
    with pytest.raises(control.NoRoom, match="No space left on device"):
        start(files={"DUMP": DUMP})
    assert not Run.objects.exists()
    assert not list((settings.DATA_DIR / "runs").rglob("uploads"))


def full_disk(descriptor: int, mode: str) -> None:
    os.close(descriptor)
    raise OSError(28, "No space left on device", "dump.sql")


def test_the_same_key_with_another_file_is_another_wish(start):
    first = start(files={"DUMP": DUMP}, key="job-7")
    assert start(files={"DUMP": DUMP}, key="job-7") == first
    with pytest.raises(control.KeyReused):
        start(files={"DUMP": Upload("dump.sql", b"select 2;\n\0\xff")}, key="job-7")


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("dump.sql", "dump.sql"),
        ("../../etc/passwd", "passwd"),
        ("C:\\dumps\\my dump (1).sql", "my_dump__1_.sql"),
        ("-rf", "rf"),
        ("..", "file"),
        ("", "file"),
        (".env", "env"),
        ("a\n$(reboot)`x`", "a___reboot__x_"),
        ("Übersicht.csv", "Übersicht.csv"),
        ("x" * 300 + ".tar.gz", "x" * 97 + ".gz"),
        ("x." + "y" * 300, "x." + "y" * 19),
        ("ü" * 99, "ü" * 50),
        ("\ud800.txt", "_.txt"),
    ],
)
def test_a_name_becomes_one_that_scripts_can_use(name, safe):
    assert Upload(name, b"").safe_name == safe
    assert len(safe.encode()) <= uploads.LONGEST_NAME
