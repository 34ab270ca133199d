"""The library finds every runbook below its folder, and nothing outside of it."""

import os

import pytest
from django.http import Http404

from runbooks import library as it
from runbooks.access.actor import Actor
from runbooks.models import Run

ALICE = Actor("alice", {"roles": ("sre",)})
BOB = Actor("bob")


def paths() -> list[str]:
    return [runbook.path for runbook in it.runbooks()]


def a_run(path: str, *, by: str = "alice") -> Run:
    return Run.objects.create(runbook=path, actor=by, timeout=600)


def test_it_lists_all_runbooks_by_path_with_those_in_subfolders(library, a_runbook):
    for path in ("b.md", "db/failover/now.md", "a.md"):
        library.add(path, a_runbook())
    assert paths() == ["a.md", "b.md", "db/failover/now.md"]
    assert it.runbooks()[2].folder == "db/failover"


def test_it_has_no_runbooks_without_a_folder_and_says_so(settings, tmp_path):
    settings.RUNBOOKS_DIR = tmp_path / "nowhere"
    assert it.runbooks() == []
    assert it.trouble() == f"RUNBOOKS_DIR is {tmp_path}/nowhere, which does not exist."


def test_it_has_no_runbooks_in_a_file_and_says_so(settings, tmp_path):
    settings.RUNBOOKS_DIR = tmp_path / "a.md"
    settings.RUNBOOKS_DIR.touch()
    assert it.runbooks() == []
    assert it.trouble() == f"RUNBOOKS_DIR is {tmp_path}/a.md, which is not a folder."


def test_it_says_that_its_folder_cannot_be_read(settings, tmp_path):
    settings.RUNBOOKS_DIR = tmp_path / "loop"
    settings.RUNBOOKS_DIR.symlink_to("loop")
    assert it.runbooks() == []
    assert "which cannot be read: Too many levels" in it.trouble()


def test_an_empty_folder_is_no_trouble(library):
    assert (it.runbooks(), it.trouble()) == ([], "")


@pytest.mark.parametrize("path", [".hidden.md", ".git/a.md", "a.txt", "md", "bad\nname.md", "a.MD.bak"])
def test_it_leaves_out_what_is_no_runbook(library, a_runbook, path):
    library.add(path, a_runbook())
    assert paths() == []


def test_it_leaves_out_names_that_are_not_text(library, a_runbook):
    with open(os.fsencode(library.root) + b"/\xff.md", "wb") as file:  # noqa: PTH123
        file.write(a_runbook().encode())
    assert paths() == []


def test_it_leaves_out_a_pipe_whose_reading_would_never_end(library):
    os.mkfifo(library.root / "pipe.md")
    assert paths() == []


def test_a_link_may_stay_inside_but_not_lead_out(library, a_runbook, tmp_path):
    outside = tmp_path / "outside.md"
    outside.write_text(a_runbook())
    library.add("real.md", a_runbook())
    (library.root / "inside.md").symlink_to("real.md")
    (library.root / "leak.md").symlink_to(outside)
    (library.root / "broken.md").symlink_to("nothing.md")
    (library.root / "loop.md").symlink_to("loop.md")
    (library.root / "up").symlink_to("..")
    assert paths() == ["inside.md", "real.md"]


@pytest.mark.parametrize(
    "path", ["../outside.md", "/etc/passwd", "%2e%2e/outside.md", "a.md\0", "./a.md", "db/../a.md", "b", "", "leak.md"]
)
def test_a_path_that_is_not_in_the_list_is_not_found(library, a_runbook, tmp_path, path):
    (tmp_path / "outside.md").write_text(a_runbook())
    (library.root / "leak.md").symlink_to(tmp_path / "outside.md")
    library.add("a.md", a_runbook())
    assert it.runbook_for(BOB, "a.md").file == library.root / "a.md"
    with pytest.raises(Http404):
        it.runbook_for(BOB, path)


def test_it_reads_a_file_again_only_when_it_has_changed(library, a_runbook):
    library.add("a.md", a_runbook(about="Old words."))
    first = it.runbooks()[0].runbook
    assert it.runbooks()[0].runbook is first
    library.add("a.md", a_runbook(about="Other words."))
    assert it.runbooks()[0].runbook.summary == "Other words."


def test_a_file_that_is_too_large_is_listed_with_that_problem(library, monkeypatch, a_runbook):
    monkeypatch.setattr(it, "MAX_BYTES", 10)
    library.add("a.md", a_runbook())
    [runbook] = it.runbooks()
    assert runbook.source == b""
    assert "larger" in str(runbook.errors[0])


def test_a_file_of_more_than_a_mebibyte_is_too_large(library, a_runbook):
    library.add("a.md", a_runbook().ljust(1024 * 1024 + 1, "\n"))
    assert [str(problem) for problem in it.runbooks()[0].errors] == ["line 1, File: the file is larger than 1024 KiB."]


def test_problems_of_this_machine_are_looked_for_each_time(library, a_runbook):
    library.add("a.md", a_runbook(files="Input:\n- data.txt"))
    assert any("data.txt" in problem.message for problem in it.runbooks()[0].errors)
    library.add("data.txt", "here now")
    assert it.runbooks()[0].errors == ()


def test_runs_are_seen_by_who_has_the_claims_now(db, library, a_runbook):
    library.add("a.md", a_runbook(claims={"roles": ["sre"]}))
    run = a_run("a.md", by="bob")
    assert list(it.visible_runs(ALICE)) == [run]
    assert list(it.visible_runs(BOB)) == []
    library.add("a.md", a_runbook())
    assert it.run_for(BOB, run.pk) == run


def test_runs_of_a_file_that_is_gone_are_seen_by_who_started_them(db, library):
    run = a_run("gone.md", by="bob")
    assert it.run_for(BOB, run.pk) == run
    with pytest.raises(Http404):
        it.run_for(ALICE, run.pk)


def test_claims_that_cannot_be_read_open_nothing(db, library, a_runbook):
    broken = a_runbook(claims={"roles": ["sre"]}).replace("roles: sre", "roles: [sre")
    library.add("a.md", broken)
    run = a_run("a.md", by="alice")
    assert list(it.visible_runs(BOB)) == []
    assert list(it.visible_runs(ALICE)) == [run]


def test_the_last_run_of_each_runbook_is_the_newest(db, library, a_runbook):
    library.add("a.md", a_runbook())
    library.add("b.md", a_runbook(claims={"roles": ["sre"]}))
    a_run("a.md")
    newest = a_run("a.md")
    a_run("b.md")
    assert it.last_runs(BOB) == {"a.md": newest}
