"""What a script finds on the disk: its working folder with the files that it needs, and itself, in EXECUTION_DIR."""

import contextlib
import os
import shutil

from django.conf import settings

from runbooks.document.runbook import Runbook
from runbooks.document.validate import input_files
from runbooks.execution import tree, uploads
from runbooks.execution.script_user import ScriptUser, execution_dir, script_user
from runbooks.models import Run


def make(run: Run, runbook: Runbook) -> dict[str, str]:
    """Make the working folder, with copies of the input files at their relative paths, and the script as a file.

    Returns where the files are that were uploaded for the run, by variable. Raises document.validate.BadInput, for a
    file that is not there, and OSError.
    """
    user = script_user()
    _clear(run)
    execution_dir()
    run.work.mkdir(mode=0o700)
    root = settings.RUNBOOKS_DIR.resolve()
    for source, target in input_files(runbook, folder=(root / run.runbook).parent, root=root):
        copy = run.work / target
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy)
    uploaded = uploads.copy_to_work(run, runbook)
    # A file of this run's own: interpreters read it while it runs.
    run.script.touch(mode=0o600, exist_ok=False)
    run.script.write_text(runbook.script.text, encoding="utf-8", newline="")
    if user:
        _give(run, user)
    return uploaded


def remove(run: Run) -> None:
    """Remove what make has made, and what it was made of; what cannot be removed stays."""
    _clear(run)
    uploads.forget(run)


def _clear(run: Run) -> None:
    # In this order: should this process die in between, what is left is a folder that is looked for again.
    with contextlib.suppress(OSError):
        run.script.unlink()
    tree.remove(run.work)


def _give(run: Run, user: ScriptUser) -> None:
    """Give the user its folder, and the script to read: as the owner of that, it could change what is being run."""
    os.chown(run.script, os.geteuid(), user.gid)
    run.script.chmod(0o440)
    # The folder itself last: what the user cannot enter yet cannot change under our hands.
    for path in (*run.work.rglob("*"), run.work):
        os.chown(path, user.uid, user.gid, follow_symlinks=False)
