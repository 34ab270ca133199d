import fcntl
import multiprocessing
import os
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from runbooks.document import history, inplace
from runbooks.document.history import CannotWrite, Entry, append, appended
from runbooks.document.outline import outline

from .examples import a_runbook, parsed

ENTRY = Entry(7, datetime(2026, 11, 22, 16, 24, 1, tzinfo=UTC), "succeeded", 0, "alice", "checked\n", "")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "Check.md"
    path.write_text(a_runbook())
    return path


def runs(source: bytes) -> list[str]:
    """The second line of each entry, in the file's order."""
    return [line for line in source.decode().splitlines() if line.startswith("Run ")]


def test_an_entry_says_when_how_who_and_what(path):
    append(path, ENTRY, keep=20)
    assert path.read_text() == a_runbook() + (
        "\n## 2026-11-22 16:24:01 UTC: succeeded, exit code 0\n\nRun 7 by `alice`\n\n"
        "stdout:\n\n```text\nchecked\n```\n\nstderr: nothing\n"
    )


def test_times_are_utc_and_a_run_may_have_no_exit_code():
    here = ENTRY.ended_at.astimezone(timezone(timedelta(hours=5)))
    text = history.entry_text(replace(ENTRY, ended_at=here, state="lost", return_code=None))
    assert text.startswith("## 2026-11-22 16:24:01 UTC: lost, no exit code\n")


def test_a_second_time_changes_nothing(path):
    append(path, ENTRY, keep=20)
    before = (path.read_bytes(), path.stat().st_ino)
    append(path, replace(ENTRY, state="failed"), keep=20)
    assert (path.read_bytes(), path.stat().st_ino) == before


def test_the_newest_are_kept_and_an_authors_words_before_them():
    source = a_runbook(history="# History\n\nMoved here in May.\n").encode()
    for run in range(1, 6):
        source = appended(source, replace(ENTRY, run=run), keep=2)
    assert runs(source) == ["Run 4 by `alice`", "Run 5 by `alice`"]
    assert source.decode().startswith(a_runbook(history="# History\n\nMoved here in May.\n\n## "))


@pytest.mark.parametrize("keep", [1, 3])
def test_a_smaller_limit_drops_all_that_are_too_many(keep):
    source = a_runbook().encode()
    for run in range(1, 6):
        source = appended(source, replace(ENTRY, run=run), keep=20)
    assert len(runs(appended(source, replace(ENTRY, run=6), keep=keep))) == keep


def test_keeping_none_leaves_the_file_alone(path):
    append(path, ENTRY, keep=0)
    assert path.read_text() == a_runbook()


@pytest.mark.parametrize("ending", ["", "# History", "# History\n", "\n\n# History\n\n\nold"])
def test_a_missing_history_or_final_newline_is_added(ending):
    text = a_runbook(history="").rstrip("\n") + "\n" + ending
    changed = appended(text.encode(), ENTRY, keep=20)
    assert changed.startswith(text.encode())
    runbook = parsed(changed)
    assert runbook.problems == ()
    assert "Run 7 by `alice`" in runbook.history


def test_a_file_without_any_final_newline_gets_a_section_of_its_own():
    text = a_runbook(history="").rstrip("\n")
    assert appended(text.encode(), ENTRY, keep=20).startswith(f"{text}\n\n# History\n\n## ".encode())


def test_a_crlf_file_gets_crlf_entries():
    source = a_runbook().replace("\n", "\r\n").encode()
    changed = appended(appended(source, ENTRY, keep=2), replace(ENTRY, run=8), keep=2)
    assert changed.startswith(source)
    assert changed.count(b"\n") == changed.count(b"\r\n")
    assert len(runs(changed)) == 2


def test_bytes_that_are_not_utf8_stay_as_they_are():
    source = a_runbook(history="# History\n\n\xff\xfe").encode("latin-1")
    assert appended(source, ENTRY, keep=20).startswith(source)


def test_sections_behind_the_history_stay_behind_it():
    rest = b"# Notes\nlast words"
    source = a_runbook(history="# History\nold\n").encode() + rest
    for run in range(1, 5):
        source = appended(source, replace(ENTRY, run=run), keep=2)
    assert source.endswith(b"nothing\n\n" + rest)
    assert len(runs(source)) == 2


@pytest.mark.parametrize(
    "output",
    [
        "```\n# Script\n```",
        "~~~\n````````\n## x\n\nRun 9 by `eve`",
        "\0\x1b[31m\x9b\r# History\r\n",
        "\ud800",
        "`" * 500,
    ],
)
def test_output_can_neither_break_the_file_nor_fake_a_section(output):
    changed = appended(a_runbook().encode(), replace(ENTRY, stdout=output, stderr=output), keep=20)
    assert [section.title for section in outline(changed.decode()).sections][-2:] == ["Script", "History"]
    assert parsed(changed).problems == ()
    assert runs(appended(changed, replace(ENTRY, run=9), keep=20))[-1] == "Run 9 by `alice`"
    assert not set(changed.decode()) & {chr(code) for code in [*range(9), *range(11, 32), 127, *range(128, 160)]}


def test_an_actor_can_fake_nothing_either():
    changed = appended(a_runbook().encode(), replace(ENTRY, actor="`x`\n# Script\n![](//evil)"), keep=20)
    assert "Run 7 by `` `x` # Script ![](//evil) ``" in runs(changed)
    assert parsed(changed).problems == ()


def test_an_open_fence_is_not_written_into():
    source = a_runbook(history="# History\n```\nold").encode()
    with pytest.raises(CannotWrite, match="line 21 is never closed"):
        appended(source, ENTRY, keep=20)


def test_what_scripts_print_never_makes_the_file_too_large_to_be_read(path):
    for run in range(1, 9):
        append(path, replace(ENTRY, run=run, stdout="x" * 200_000), keep=20)
    assert path.stat().st_size < 1024 * 1024
    assert runs(path.read_bytes())[-1] == "Run 8 by `alice`"


def test_a_file_that_would_be_too_large_is_not_written(path):
    path.write_text(a_runbook().replace("Looks", "L" * 1024 * 1024))
    with pytest.raises(CannotWrite, match="would be larger than 1024 KiB"):
        append(path, ENTRY, keep=20)
    assert "Run 7" not in path.read_text()


def test_a_file_with_too_many_headings_is_not_written():
    with pytest.raises(CannotWrite, match="more than 30000 headings"):
        appended(b"# x\n" * 30_001, ENTRY, keep=20)


def test_the_files_mode_and_owner_stay(path):
    path.chmod(0o664)
    if os.getuid() == 0:
        os.chown(path, 1234, 4321)
    before = path.stat()
    append(path, ENTRY, keep=20)
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert [file.name for file in path.parent.iterdir()] == ["Check.md"]


def test_a_link_stays_a_link(path, tmp_path):
    (tmp_path / "Link.md").symlink_to(path)
    append(tmp_path / "Link.md", ENTRY, keep=20)
    assert (tmp_path / "Link.md").is_symlink()
    assert "Run 7" in path.read_text()


@pytest.mark.parametrize(
    ("place", "message"), [("file", "Check.md is read-only"), ("folder", "The folder of Check.md")]
)
def test_what_is_read_only_is_not_written(path, place, message):
    target = path if place == "file" else path.parent
    mode = target.stat().st_mode
    target.chmod(mode & ~0o222)
    try:
        with pytest.raises(CannotWrite, match=message):
            append(path, ENTRY, keep=20)
    finally:
        target.chmod(mode)
    assert path.read_text() == a_runbook()


def test_a_vanished_file_is_not_made_again(path):
    path.unlink()
    with pytest.raises(CannotWrite, match="no longer there"):
        append(path, ENTRY, keep=20)
    assert not path.exists()


def test_a_named_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "Pipe.md")
    with pytest.raises(CannotWrite, match="not a regular file"):
        append(tmp_path / "Pipe.md", ENTRY, keep=20)


def test_a_lock_that_stays_taken_is_given_up(path, monkeypatch):
    monkeypatch.setattr(inplace, "LOCK_SECONDS", 0.05)
    holder = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    try:
        with pytest.raises(CannotWrite, match="lock"):
            append(path, ENTRY, keep=20)
    finally:
        os.close(holder)
    append(path, ENTRY, keep=20)
    assert "Run 7" in path.read_text()


def test_a_lock_that_is_freed_in_time_is_waited_for(path):
    holder = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    waiting = threading.Thread(target=append, args=(path, ENTRY), kwargs={"keep": 20})
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    os.close(holder)
    waiting.join(5)
    assert "Run 7" in path.read_text()


def test_what_an_author_saves_meanwhile_is_not_lost(path, monkeypatch):
    def saved_by_the_author(*given):
        monkeypatch.undo()
        path.write_text(a_runbook(environment="NEW: variable"))
        inplace._copy_owner_and_mode(*given)

    monkeypatch.setattr(inplace, "_copy_owner_and_mode", saved_by_the_author)
    append(path, ENTRY, keep=20)
    assert "NEW: variable" in path.read_text()
    assert "Run 7" in path.read_text()


def test_a_draft_that_a_killed_process_left_is_no_obstacle(path):
    (path.parent / inplace.DRAFT).write_text("half")
    append(path, ENTRY, keep=20)
    assert [file.name for file in path.parent.iterdir()] == ["Check.md"]


def append_some(path: Path, first: int, count: int) -> None:
    inplace.LOCK_SECONDS = 60  # eight at once on a busy machine: this is about what they write, not how long they wait
    for run in range(first, first + count):
        append(path, replace(ENTRY, run=run, stdout=f"output of {run}\n" * 2), keep=2000)


def test_a_thousand_entries_of_eight_processes_are_all_there_and_whole(path):
    source = a_runbook().replace("\n", "\r\n").encode()
    path.write_bytes(source)
    path.chmod(0o640)
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=append_some, args=(path, number * 125, 125)) for number in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 8
    written = path.read_bytes()
    order = [int(line.split()[1]) for line in runs(written)]
    assert sorted(order) == list(range(1000))
    whole = [history.entry_text(replace(ENTRY, run=run, stdout=f"output of {run}\n" * 2)) for run in order]
    assert written == source + "\r\n".join(["", *(text.replace("\n", "\r\n") for text in whole)]).encode()
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_file_that_its_author_is_just_writing_is_waited_for(path):
    whole = path.read_bytes()
    with path.open("wb") as saving:  # as a shell's > does: it is empty until everything has come
        waiting = threading.Thread(target=append, args=(path, ENTRY), kwargs={"keep": 20})
        waiting.start()
        waiting.join(0.3)
        assert (waiting.is_alive(), path.read_bytes()) == (True, b"")
        saving.write(whole)
    waiting.join()
    assert parsed(path.read_bytes().decode()).script
    assert len(runs(path.read_bytes())) == 1
