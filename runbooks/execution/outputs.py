"""What a runbook wants kept of the working folder: moved beside the log, as files of the server's user alone."""

import errno
import os
import stat
import uuid
from pathlib import Path, PurePosixPath

from runbooks.execution.folder import has_started
from runbooks.execution.recorded import runbook_of
from runbooks.execution.script_user import script_user
from runbooks.execution.tree import copy, own_mode, remove, taken
from runbooks.models import Run

MOST_LEVELS = 100  # each takes descriptors, of which a server has only so many


class NotKept(Exception):
    """An output is not to be kept; str() ends a sentence that begins with its path."""


def keep_outputs(run: Run) -> list[str]:
    """Move the outputs out of the working folder, which goes; the warnings about what could not be kept."""
    outputs = runbook_of(run).outputs
    # Of a script that never began nothing is missing.
    if not outputs or not has_started(run.folder):
        return []
    return [warning for output in outputs if (warning := _warning(run, output))]


def _warning(run: Run, output: str) -> str:
    """Keep one output; what there is to say about it."""
    target = run.folder / "outputs" / output
    if os.path.lexists(target):
        return ""
    try:
        with taken(run.work) as work:
            left_out = _keep(PurePosixPath(output).parts, target, within=work, drafts=_drafts(run))
    except FileNotFoundError:
        trouble = "was not there at the end."
    except NotADirectoryError:
        trouble = "was not there at the end: a part of its path is no folder, and links are not followed."
    except OSError as problem:
        trouble = f"could not be kept: {problem.strerror}."
    except NotKept as reason:
        trouble = f"was not kept: {reason}."
    else:
        return f"Output {output[:100]} was kept without the links and the like in it ({left_out})." if left_out else ""
    # Another runner may have been quicker.
    return "" if os.path.lexists(target) else f"Output {output[:100]} {trouble}"


def remove_drafts(run: Run) -> None:
    """Remove what is left of copies in the middle of which a server died."""
    remove(_drafts(run))


def _drafts(run: Run) -> Path:
    return run.folder / "drafts"


def _keep(parts: tuple[str, ...], target: Path, *, within: int, drafts: Path) -> int:
    """Keep what is at the end of this path; how much of what is in it was left out."""
    name, *further = parts
    if further:
        with taken(name, within=within) as folder:
            return _keep(tuple(further), target, within=folder, drafts=drafts)
    if reason := _reason_against(name, within):
        raise NotKept(reason)
    left_out = _claim(name, within=within)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _move(name, target, within=within, drafts=drafts)
    return left_out


def _reason_against(name: str, within: int) -> str:
    """Why this cannot be kept, although it is there."""
    info = os.stat(name, dir_fd=within, follow_symlinks=False)
    if stat.S_ISLNK(info.st_mode):
        return "it is a link, and could lead anywhere"
    if not stat.S_ISDIR(info.st_mode) and not stat.S_ISREG(info.st_mode):
        return "it is neither a file nor a folder"
    if stat.S_ISREG(info.st_mode) and info.st_nlink > 1 and (user := script_user()) and info.st_uid != user.uid:
        return "it is a second name of a file of another user"  # who would lose it
    return ""


def _claim(name: str, *, within: int, levels: int = MOST_LEVELS) -> int:
    """Make a file, or a folder with all that may be kept of it, the server's own; how much was left out."""
    info = os.stat(name, dir_fd=within, follow_symlinks=False)
    if os.geteuid() not in (0, info.st_uid):
        return 0  # the script has made it as somebody else, with sudo: it can be moved, and no more
    if stat.S_ISDIR(info.st_mode):
        if not levels:
            raise NotKept(f"it has folders within folders, more than {MOST_LEVELS} deep")
        with taken(name, within=within) as folder, os.scandir(folder) as entries:
            return sum(_claim_or_remove(entry.name, within=folder, levels=levels - 1) for entry in entries)
    if os.geteuid() == 0:
        os.chown(name, 0, os.getegid(), dir_fd=within, follow_symlinks=False)
    # After that: the former owner could change it once more.
    os.chmod(name, own_mode(info), dir_fd=within)
    return 0


def _claim_or_remove(name: str, *, within: int, levels: int) -> int:
    if not _reason_against(name, within):
        return _claim(name, within=within, levels=levels)
    os.unlink(name, dir_fd=within)
    return 1


def _move(name: str, target: Path, *, within: int, drafts: Path) -> None:
    """Move what has been claimed; to another disk it is copied under another name, and renamed when it is whole."""
    try:
        if script_user():
            # What another user's process may still have open is no more ours alone by being moved.
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), name)
        os.rename(name, target, src_dir_fd=within)
    except OSError as problem:
        if problem.errno != errno.EXDEV:
            raise
        draft = uuid.uuid4().hex  # another runner may be at it, too
        drafts.mkdir(mode=0o700, exist_ok=True)
        with taken(drafts) as folder:
            try:
                copy(name, draft, within=within, to=folder)  # the source goes with the working folder
                os.rename(draft, target, src_dir_fd=folder)
            except OSError:
                remove(drafts / draft)  # a full disk, above all, must not stay full of half a copy
                raise
