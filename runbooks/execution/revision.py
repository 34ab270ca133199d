"""Which git commit a runbook stood at when it was started, and whether its file differed from that commit.

A start may not wait for it: HEAD is read here, and git is asked for each runbook of each commit once. Git is asked in
ways that run nothing, whatever the repository's configuration says: a checkout may belong to anybody.
"""

import contextlib
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from runbooks.document.parse import without_history
from runbooks.document.runbook import LARGEST_FILE
from runbooks.library import LibraryRunbook
from runbooks.output.entries import open_regular

COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
LONGEST_COMMIT = 64
SECONDS = 1.0  # of git, which takes a few milliseconds on a disk that is not broken
REST = 60.0  # seconds in which a git that did not answer is not asked again: each start would wait for it
LARGEST_REFS = 256 * 1024 * 1024
BLOCK = 1024 * 1024
ENVIRONMENT = {
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    # A partial clone would fetch what it lacks, by programs that its configuration names.
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
}
_resting: dict[Path, float] = {}  # until when, by checkout


@dataclass(frozen=True)
class Revision:
    """The commit, or nothing where there is no checkout; `is_dirty` is None where nobody knows."""

    commit: str = ""
    is_dirty: bool | None = None


class Unknown(Exception):
    """Git is not there, or cannot say."""


def revision_of(runbook: LibraryRunbook) -> Revision:
    """The commit that is checked out where the runbook's file is, and whether the file is another than there.

    What Runbookweb itself appends to the History is no difference. Whatever is wrong with the repository is no reason
    against a run: then less is known.
    """
    try:
        checkout = _checkout(runbook.file.parent)
        commit = _head(checkout) if checkout else ""
    except (OSError, ValueError, Unknown):
        return Revision()
    if not commit:
        return Revision()
    try:
        committed = _committed(checkout, commit, runbook.file.relative_to(checkout).as_posix())
    except (OSError, ValueError, Unknown):
        return Revision(commit)
    return Revision(commit, is_dirty=committed != _digest(runbook.source))


def _checkout(folder: Path) -> Path | None:
    """The nearest folder from here upwards that has been checked out of a repository."""
    return next((above for above in (folder, *folder.parents) if os.path.lexists(above / ".git")), None)


def _head(checkout: Path) -> str:
    """The commit that is checked out; raises Unknown if there is none yet, or no telling."""
    folder = _git_folder(checkout)
    head = _text(folder / "HEAD")
    if not head.startswith("ref: "):
        return _commit(head)
    name = head.removeprefix("ref: ")
    if name.startswith("refs/") and ".." not in name:
        # A further working tree has its own HEAD, and shares the branches.
        common = folder / _text(folder / "commondir") if (folder / "commondir").exists() else folder
        if COMMIT.fullmatch(found := _branch(common, name)):
            return found
    return _commit((_git(checkout, "rev-parse", "--verify", "HEAD") or b"").decode())


def _git_folder(checkout: Path) -> Path:
    entry = checkout / ".git"
    return entry if entry.is_dir() else checkout / _text(entry).removeprefix("gitdir: ")


def _branch(folder: Path, name: str) -> str:
    """The commit of a branch, in its own file or in the one of those that are packed; nothing if git must be asked."""
    with contextlib.suppress(OSError):
        return _text(folder / name)
    with contextlib.suppress(OSError):
        packed = (folder / "packed-refs").stat()
        return _packed(folder / "packed-refs", name, (packed.st_ino, packed.st_mtime_ns, packed.st_size))
    return ""


@lru_cache(maxsize=32)
def _packed(file: Path, name: str, _state: tuple[int, ...]) -> str:
    """The commit of a branch in the file of those that are packed, which may be large; kept while the file stays."""
    ending, before = f" {name}\n".encode(), b""
    with os.fdopen(open_regular(file), "rb") as opened:
        while opened.tell() < LARGEST_REFS and (block := opened.read(BLOCK)):
            line, found, _ = (before + block).partition(ending)
            if found:
                return line.rpartition(b"\n")[2].decode(errors="replace")
            before = line[-len(ending) - LONGEST_COMMIT :]
    return ""


def _text(file: Path) -> str:
    # A pipe in its place would be waited for.
    with os.fdopen(open_regular(file), "rb") as opened:
        return opened.read(4096).decode(errors="replace").strip()


def _commit(text: str) -> str:
    if not COMMIT.fullmatch(text.strip()):
        raise Unknown
    return text.strip()


@lru_cache(maxsize=1000)
def _committed(checkout: Path, commit: str, path: str) -> str:
    """The digest of the file in this commit, which never changes; nothing if it is not there. Raises Unknown."""
    # Or a repository that is broken would look like one without the file.
    if _git(checkout, "cat-file", "-e", commit) is None:
        raise Unknown
    size = _git(checkout, "cat-file", "-s", f"{commit}:{path}")
    if size is None or int(size) > LARGEST_FILE:
        return ""
    source = _git(checkout, "cat-file", "blob", f"{commit}:{path}")
    return "" if source is None else _digest(source)


@lru_cache(maxsize=32)
def _digest(source: bytes) -> str:
    return sha256(without_history(source).encode()).hexdigest()


def _git(checkout: Path, *command: str) -> bytes | None:
    """What git answers; None if it says no. Raises Unknown if it is not there, or does not answer."""
    program = shutil.which("git")
    if program is None or time.monotonic() < _resting.get(checkout, 0):
        raise Unknown
    # With the folder named, git does not look for one, nor ask whose it is; safe.directory is for versions that do.
    where = ("-c", "safe.directory=*", f"--git-dir={_git_folder(checkout)}", "--no-pager")
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    try:
        done = subprocess.run(
            [program, *where, *command], **options, env=ENVIRONMENT, cwd=checkout, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        _resting[checkout] = time.monotonic() + REST
        raise Unknown from None
    return None if done.returncode else done.stdout
