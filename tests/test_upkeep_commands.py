"""`manage.py prune_runs` and `manage.py rebuild_history`: what they do, what they say, and how they exit."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from runbooks.execution import folder, retention
from runbooks.models import Run, State

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch):
    monkeypatch.setattr(retention, "PAUSE", 0)
    monkeypatch.setattr(retention, "LAST_LOOK", 0)


@pytest.fixture
def said(capsys) -> Callable[..., tuple[str, str, int]]:
    """What a command prints and says, and its exit code."""

    def said(*command: str) -> tuple[str, str, int]:
        code = 0
        try:
            call_command(*command)
        except SystemExit as ended:
            code = ended.code
        return *capsys.readouterr(), code

    return said


def a_run(path: str = "restart.md", *, days: int = 0, **fields: object) -> Run:
    then = timezone.now() - timedelta(days=days)
    ended = {"state": State.SUCCEEDED, "return_code": 0, "started_at": then, "ended_at": then}
    run = Run.objects.create(**{"runbook": path, "actor": "alice", "timeout": 1, **ended, **fields})
    folder.prepare(run.folder)
    run.log.write_bytes(b"2026-11-22T16:23:59.123456Z stdout F of %d\n" % run.pk)
    return run


def test_it_says_what_it_removed(said):
    for days in (9, 8, 1):
        a_run(days=days)
    assert said("prune_runs", "--days=7", "--dry-run") == ("Would be removed: 2 runs, 8.0 KB.\n", "", 0)
    assert Run.objects.count() == 3
    assert said("prune_runs", "--days=7") == ("Removed: 2 runs, 8.0 KB.\n", "", 0)
    assert said("prune_runs", "--bytes=1") == ("Removed: 1 run, 4.0 KB.\n", "", 0)
    assert not Run.objects.exists()


def test_by_default_it_keeps_what_the_settings_say(said, settings):
    for days in (9, 1):
        a_run(days=days)
    out, _, code = said("prune_runs")
    assert out.endswith("Neither RUN_RETENTION_DAYS nor RUN_RETENTION_BYTES is set: every run is kept.\n")
    assert (Run.objects.count(), code) == (2, 0)
    settings.RUN_RETENTION_DAYS, settings.RUN_RETENTION_BYTES = 5, 0
    said("prune_runs")
    assert Run.objects.count() == 1
    settings.RUN_RETENTION_BYTES = 1
    assert said("prune_runs", "--days=0", "--bytes=0")[0].startswith("Removed: 0 runs")
    said("prune_runs")
    assert not Run.objects.exists()


@pytest.mark.parametrize("option", ["--days=-1", "--days=a", "--bytes=1.5", "--days=100001", "--bytes=" + "9" * 5000])
def test_a_bound_that_cannot_be_read_is_named(option):
    with pytest.raises(CommandError, match=r"argument --(days|bytes): '.*' is not a whole number from 0 to"):
        call_command("prune_runs", option)


def test_it_does_not_wait_for_a_backup(said):
    with retention.kept():
        _, err, code = said("prune_runs", "--days=1")
    assert (err, code) == ("A prune or a backup goes on already; try again when it has ended.\n", 1)


def history(library, path: str = "restart.md") -> str:
    return (library.root / path).read_text().partition("# History\n")[2]


def test_every_history_is_written_anew_of_which_the_database_knows_runs(said, library, a_runbook):
    for path in ("restart.md", "deep/other.md", "unknown.md"):
        library.add(path, a_runbook(history="## Never: ran\n\nRun 99 by `eve`\n"))
    runs = [a_run("deep/other.md"), a_run(), a_run()]
    out, err, code = said("rebuild_history")
    assert out == "deep/other.md: History tells of 1 run.\nrestart.md: History tells of 2 runs.\n"
    assert (err, code) == ("", 0)
    told = f"Run {runs[0].pk} by `alice`\n\nstdout:\n\n```text\nof {runs[0].pk}\n```"
    assert told in history(library, "deep/other.md")
    assert history(library).count("\nRun ") == 2
    assert history(library, "unknown.md").count("Run 99") == 1


def test_named_ones_are_written_anew_even_if_there_is_nothing_to_tell(said, library, a_runbook):
    for path in ("restart.md", "unknown.md"):
        library.add(path, a_runbook(history="Mine.\n\n## Never: ran\n\nRun 99 by `eve`\n"))
    a_run()
    assert said("rebuild_history", "unknown") == ("unknown.md: History tells of 0 runs.\n", "", 0)
    assert history(library, "unknown.md") == "\nMine.\n"
    assert "Run 99" in history(library)


def test_one_that_cannot_be_written_does_not_keep_the_others_from_it(said, library, a_runbook):
    for path in ("a.md", "b.md", "c.md"):
        library.add(path, a_runbook())
        a_run(path)
    (library.root / "b.md").chmod(0o444)
    out, err, code = said("rebuild_history")
    assert out == "a.md: History tells of 1 run.\nc.md: History tells of 1 run.\n"
    assert (err, code) == ("b.md: History was not written: b.md is read-only.\n", 1)


def test_an_unknown_runbook_is_named_and_nothing_is_written(said, library, a_runbook):
    library.add("restart.md", a_runbook())
    a_run()
    assert said("rebuild_history", "restart", "no/such") == (
        "",
        "There is no runbook no/such; name one by its path below RUNBOOKS_DIR.\n",
        2,
    )
    assert "Run" not in history(library)


def test_without_runbooks_or_history_it_says_so(said, settings):
    _, err, code = said("rebuild_history")
    assert (err, code) == (f"RUNBOOKS_DIR is {settings.RUNBOOKS_DIR}, which does not exist.\n", 2)
    settings.HISTORY_ENTRIES = 0
    assert said("rebuild_history")[2] == "HISTORY_ENTRIES is 0: no History is written."
