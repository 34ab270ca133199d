"""What a script finds on the disk: its working folder with the input files, and itself, in EXECUTION_DIR."""

import contextlib
import shutil

from django.conf import settings

from runbooks.document.runbook import Runbook
from runbooks.document.validate import input_files
from runbooks.models import Run


def make(run: Run, runbook: Runbook) -> None:
    """Make the working folder, with copies of the input files at their relative paths, and the script as a file.

    Raises document.validate.BadInput, for an input file that is not there, and OSError.
    """
    remove(run)
    run.work.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    run.work.mkdir(mode=0o700)
    root = settings.RUNBOOKS_DIR.resolve()
    for source, target in input_files(runbook, folder=(root / run.runbook).parent, root=root):
        copy = run.work / target
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy)
    # A file of this run's own: interpreters read it while it runs.
    run.script.touch(mode=0o600)
    run.script.write_text(runbook.script.text, encoding="utf-8", newline="")


def remove(run: Run) -> None:
    """Remove what make has made; what cannot be removed stays."""
    shutil.rmtree(run.work, ignore_errors=True)
    with contextlib.suppress(OSError):
        run.script.unlink()
