"""The git revision that a run is recorded with: of real repositories, sound and broken, hostile and absent."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runbooks import library as runbook_library
from runbooks.access.actor import Actor
from runbooks.document.history import Entry, append
from runbooks.execution import control, revision
from runbooks.execution.revision import Revision, revision_of
from runbooks.models import Run

ALICE = Actor("alice", {"roles": ("sre",)})
WHO = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main")

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")


def git(folder: Path, *command: str) -> str:
    done = subprocess.run(["git", *WHO, *command], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(library, a_runbook) -> Path:
    """RUNBOOKS_DIR as a checkout, with restart.md committed."""
    library.add("ops/restart.md", a_runbook())
    git(library.root, "init", "--quiet")
    commit(library.root)
    return library.root


def commit(folder: Path) -> str:
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "one")
    return git(folder, "rev-parse", "HEAD")


def found(path: str = "ops/restart.md") -> Revision:
    return revision_of(runbook_library.runbook_for(ALICE, path))


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """What git is asked for."""
    asked, real = [], subprocess.run

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess:
        asked.append(command[-1])
        return real(command, **options)

    monkeypatch.setattr(subprocess, "run", run)
    return asked


@pytest.mark.django_db
def test_a_run_is_recorded_with_the_commit_of_its_runbook(checkout):
    run = control.start_run(ALICE, runbook_library.runbook_for(ALICE, "ops/restart.md"), values={})
    recorded = Run.objects.get(pk=run.pk)
    assert (recorded.revision, recorded.is_dirty) == (git(checkout, "rev-parse", "HEAD"), False)


def test_a_change_that_is_not_committed_is_told(checkout, library, a_runbook):
    library.add("ops/restart.md", a_runbook(script="echo changed"))
    assert found() == Revision(git(checkout, "rev-parse", "HEAD"), is_dirty=True)
    head = commit(checkout)
    assert found() == Revision(head, is_dirty=False)


def test_a_change_of_another_file_is_none_of_this_one(checkout, library, a_runbook):
    library.add("other.md", a_runbook())
    assert (found().is_dirty, found("other.md").is_dirty) == (False, True)


def test_what_is_appended_to_the_history_is_no_change(checkout):
    before = found()
    append(checkout / "ops/restart.md", Entry(7, datetime.now(UTC), "failed", 1, "bob", "out", "err"), keep=5)
    assert git(checkout, "status", "--short") == "M ops/restart.md"
    assert found() == before
    assert not before.is_dirty


def test_git_is_asked_once_for_each_runbook_of_a_commit(checkout, asked):
    assert {found() for _ in range(5)} == {Revision(git(checkout, "rev-parse", "HEAD"), is_dirty=False)}
    assert sum(command.endswith("ops/restart.md") for command in asked) == 2  # its size, and what is in it


def detached(checkout: Path) -> None:
    git(checkout, "checkout", "--quiet", "--detach")


def packed(checkout: Path) -> None:
    git(checkout, "pack-refs", "--all")
    assert not (checkout / ".git/refs/heads/main").exists()


def with_an_odd_branch(checkout: Path) -> None:
    git(checkout, "checkout", "--quiet", "-b", "feature/ä b".replace(" ", "-"))


def by_another_name(checkout: Path) -> None:
    git(checkout, "symbolic-ref", "refs/heads/alias", "refs/heads/main")
    git(checkout, "symbolic-ref", "HEAD", "refs/heads/alias")


@pytest.mark.parametrize("prepare", [detached, packed, with_an_odd_branch, by_another_name])
def test_a_head_is_read_wherever_git_keeps_it(checkout, prepare):
    prepare(checkout)
    assert found() == Revision(git(checkout, "rev-parse", "HEAD"), is_dirty=False)


def test_a_repository_that_keeps_its_branches_elsewhere_is_asked_by_git(checkout, tmp_path, monkeypatch):
    head, newer = git(checkout, "rev-parse", "HEAD"), tmp_path / "bin/git"
    newer.parent.mkdir()
    newer.write_text(f'#!/bin/sh\ncase "$*" in *rev-parse*) echo {head};; *) exec {shutil.which("git")} "$@";; esac\n')
    newer.chmod(0o755)
    monkeypatch.setenv("PATH", f"{newer.parent}:{os.environ['PATH']}")
    # As git lays out a repository with reftables.
    shutil.rmtree(checkout / ".git/refs/heads")
    (checkout / ".git/refs/heads").write_text("this repository uses the reftable format\n")
    (checkout / ".git/HEAD").write_text("ref: refs/heads/.invalid\n")
    assert found() == Revision(head, is_dirty=False)


def test_a_further_working_tree_has_a_head_of_its_own(checkout, settings, tmp_path):
    git(checkout, "worktree", "add", "--quiet", "-b", "other", str(tmp_path / "tree"))
    settings.RUNBOOKS_DIR = tmp_path / "tree"
    head = commit(tmp_path / "tree")
    assert found() == Revision(head, is_dirty=False)
    assert head != git(checkout, "rev-parse", "HEAD")


def test_the_folder_of_runbooks_may_lie_within_a_checkout(checkout, settings):
    settings.RUNBOOKS_DIR = checkout / "ops"
    assert found("restart.md") == Revision(git(checkout, "rev-parse", "HEAD"), is_dirty=False)


def test_a_branch_is_found_among_very_many_that_are_packed(checkout, asked, monkeypatch):
    packed(checkout)
    head, file = git(checkout, "rev-parse", "HEAD"), checkout / ".git/packed-refs"
    others = "".join(f"{head[::-1]} refs/heads/a/{number:04}/refs/heads/main-not\n" for number in range(1000))
    file.write_text(f"{others}{file.read_text()}")
    asked.clear()
    for block in range(4000, 4100):  # wherever a block ends
        revision._packed.cache_clear()
        monkeypatch.setattr(revision, "BLOCK", block)
        assert found().commit == head
    assert "HEAD" not in asked


def test_branches_that_are_packed_are_read_again_once_they_have_changed(checkout):
    packed(checkout)
    before = found()
    newer = commit_packed(checkout)
    assert (before.commit != newer, found().commit) == (True, newer)


def commit_packed(checkout: Path) -> str:
    (checkout / "other.txt").write_text("other")
    head = commit(checkout)
    packed(checkout)
    return head


@pytest.mark.parametrize("name", ["config", "packed-refs", "HEAD", "refs/heads/main", "commondir", "objects"])
def test_a_pipe_in_the_place_of_a_file_is_waited_for_once_at_most(checkout, asked, monkeypatch, name):
    place = checkout / ".git" / name
    if name == "packed-refs":
        (checkout / ".git/refs/heads/main").unlink()
    shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
    os.mkfifo(place)
    monkeypatch.setattr(revision, "SECONDS", 0.2)
    found()
    waited = len(asked)
    started = time.monotonic()
    found()
    assert time.monotonic() - started < 0.2
    assert waited <= 2


def without_git(checkout: Path) -> None:
    shutil.rmtree(checkout / ".git")


def without_a_commit(checkout: Path) -> None:
    without_git(checkout)
    git(checkout, "init", "--quiet")


def with_nonsense(checkout: Path) -> None:
    (checkout / ".git/HEAD").write_bytes(b"\xff" * 100)


def with_a_way_out(checkout: Path) -> None:
    (checkout / ".git/HEAD").write_text("ref: refs/../../ops/restart.md")


def with_a_pipe(checkout: Path) -> None:
    (checkout / ".git/HEAD").unlink()
    os.mkfifo(checkout / ".git/HEAD")


def with_a_file(checkout: Path) -> None:
    without_git(checkout)
    (checkout / ".git").write_text("gitdir: /nowhere\0")


@pytest.mark.parametrize(
    "breaks", [without_git, without_a_commit, with_nonsense, with_a_way_out, with_a_pipe, with_a_file]
)
def test_where_there_is_no_commit_nothing_is_said(checkout, breaks):
    breaks(checkout)
    assert found() == Revision()


def test_of_a_repository_without_its_objects_the_commit_alone_is_known(checkout):
    head = git(checkout, "rev-parse", "HEAD")
    shutil.rmtree(checkout / ".git/objects")
    (checkout / ".git/objects").mkdir()
    assert found() == Revision(head)


def test_without_git_itself_the_commit_alone_is_known(checkout, monkeypatch):
    head = git(checkout, "rev-parse", "HEAD")
    monkeypatch.setenv("PATH", "/nowhere")
    assert found() == Revision(head)


def test_a_git_that_does_not_answer_is_not_waited_for(checkout, tmp_path, monkeypatch):
    head, slow = git(checkout, "rev-parse", "HEAD"), tmp_path / "bin/git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(revision, "SECONDS", 0.05)
    assert found() == Revision(head)


def test_a_git_that_did_not_answer_is_left_in_peace_for_a_while(checkout, asked, monkeypatch):
    monkeypatch.setattr(revision, "SECONDS", 0.0)
    assert [found().is_dirty for _ in range(3)] == [None] * 3
    assert len(asked) == 1
    monkeypatch.setattr(revision, "_resting", {checkout: time.monotonic() - 0.001})
    monkeypatch.setattr(revision, "SECONDS", 10.0)
    assert found().is_dirty is False


def by_configuration(checkout: Path, program: Path) -> None:
    for name in ("core.fsmonitor", "core.sshCommand", "core.pager", "core.editor", "diff.external", "alias.cat-file"):
        git(checkout, "config", name, f"!{program}" if "alias" in name else str(program))
    git(checkout, "config", "filter.evil.clean", str(program))
    git(checkout, "config", "filter.evil.smudge", str(program))
    git(checkout, "config", "diff.evil.textconv", str(program))
    (checkout / ".git/info/attributes").write_text("*.md filter=evil diff=evil\n")


def by_a_partial_clone(checkout: Path, program: Path) -> None:
    """One that has to fetch its objects, by a program of its own choice."""
    git(checkout, "config", "core.repositoryFormatVersion", "1")
    git(checkout, "config", "extensions.partialClone", "origin")
    git(checkout, "config", "remote.origin.promisor", "true")
    git(checkout, "config", "remote.origin.url", f"ext::{program}")
    git(checkout, "config", "remote.origin.uploadpack", str(program))
    git(checkout, "config", "protocol.ext.allow", "always")
    shutil.rmtree(checkout / ".git/objects")
    (checkout / ".git/objects").mkdir()


@pytest.mark.parametrize("prepare", [by_configuration, by_a_partial_clone])
def test_nothing_of_the_repository_is_run(checkout, prepare: Callable[[Path, Path], None], tmp_path):
    program = tmp_path / "evil"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/has-run\n")
    program.chmod(0o755)
    head = git(checkout, "rev-parse", "HEAD")
    prepare(checkout, program)
    assert found().commit == head
    assert not (tmp_path / "has-run").exists()


def test_a_repository_of_somebody_else_is_read_all_the_same(checkout):
    if os.geteuid():
        pytest.skip("only root may give files away")
    head = git(checkout, "rev-parse", "HEAD")
    for path in (checkout, *checkout.rglob("*")):
        os.chown(path, 12345, 12345)
    assert found() == Revision(head, is_dirty=False)
