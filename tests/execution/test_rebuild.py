"""The History that is written anew from the database: the same bytes as the runs have left, whatever became of them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from runbooks import library as runbook_library
from runbooks.access.actor import Actor
from runbooks.access.rules import Refused
from runbooks.execution import folder
from runbooks.execution.control import cancel_run, start_run
from runbooks.execution.rebuild import Rebuild
from runbooks.execution.settle import settle
from runbooks.models import Run, State

from .conftest import ALICE

BOB = Actor("bob", {"roles": ("guest",)})
SCRIPTS = ("echo hello", "echo trouble >&2; exit 3", "head -c 99999 /dev/zero", r"printf '```\n# no\r\377'")
CLAIMS = {"roles": ["sre"]}


@pytest.fixture
def file(library, a_runbook) -> Path:
    """A runbook that does what it is told."""
    source = a_runbook(requirements={"DO": "what"}, script='eval "$DO"', claims=CLAIMS, history="Moved in May.\n")
    return library.add("restart.md", source)


@pytest.fixture
def start(a_run, file: Path) -> Callable[..., Run]:
    def start(script: str = "echo hello", actor: Actor = ALICE, path: str = "restart.md") -> Run:
        return start_run(actor, runbook_library.runbook_for(actor, path), values={"DO": script})

    return start


def rebuild(path: str = "restart.md") -> int:
    """Write the History of the runbook's file anew; how many runs it tells of."""
    found = {runbook.path: runbook for runbook in runbook_library.runbooks()}
    return Rebuild([one for one in found.values() if one.file == found[path].file]).write()


@pytest.mark.parametrize("most", [4, 20])
def test_it_is_what_settling_wrote(start, finish, file, settings, most):
    settings.HISTORY_ENTRIES = most
    for script in SCRIPTS:
        finish(start(script))
        with pytest.raises(Refused):
            start(actor=BOB)
    cancel_run(ALICE, start())  # while it waits: no History tells of that
    settled = file.read_bytes()
    told = settled.count(b"\nRun ")
    assert told == min(most, len(SCRIPTS) + 1)  # of refusals only the first within a minute
    for _ in range(2):
        assert rebuild() == told
        assert file.read_bytes() == settled


def test_what_was_lost_or_made_up_is_mended(start, finish, file):
    finish(start())
    settled = file.read_text()
    made_up = settled.replace("succeeded", "failed") + "\n## Never: ran\n\nRun 99 by `eve`\n"
    for source in (made_up, settled.partition("## ")[0]):
        file.write_text(source)
        rebuild()
        assert file.read_text() == settled


def test_without_its_log_a_run_is_told_of_all_the_same(start, finish, file):
    finish(start()).log.unlink()
    rebuild()
    assert "stdout: nothing" in file.read_text()


def test_an_end_that_is_being_recorded_meanwhile_is_not_lost(start, begin, file, monkeypatch):
    run = start()
    begin(run).wait()
    with monkeypatch.context() as stopped:
        stopped.setattr(Run, "move", lambda *_, **__: False)  # between the file and the database
        settle(run, folder.read_result(run.folder))
    told = file.read_bytes()
    assert rebuild() == 0
    assert (file.read_bytes(), Run.objects.get().state) == (told, State.RUNNING)
    settle(run, folder.read_result(run.folder))
    assert rebuild() == 1
    assert file.read_bytes() == told


def test_the_runs_of_all_names_of_one_file_are_in_its_history(start, finish, file):
    file.with_name("also.md").symlink_to("restart.md")
    for path in ("restart.md", "also.md"):
        finish(start(path=path))
    settled = file.read_bytes()
    assert rebuild("also.md") == 2
    assert file.read_bytes() == settled


def test_a_refusal_whose_reason_is_no_longer_known_says_so(start, file):
    with pytest.raises(Refused):
        start(actor=BOB)
    assert "You need one of these roles: sre. You have: guest." in file.read_text()
    settled = file.read_bytes()
    file.write_bytes(settled.replace(b"roles: sre\n", b"roles: guest\n"))
    rebuild()
    assert "A claim was missing that the runbook required then." in file.read_text()
