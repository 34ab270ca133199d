"""Files that come with a start: kept in the run's folder until its script starts, which gets copies of its own."""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from runbooks.document.inputs import BadInput
from runbooks.document.runbook import Runbook
from runbooks.document.values import InvalidValues
from runbooks.execution import tree
from runbooks.models import Run

LARGEST = 2_500_000  # bytes of all files together: with the largest values beside them, a request is not too long
LONGEST_NAME = 100  # bytes
FOLDER = "uploads"  # in the run's folder, and in the working folder of the script
NOT_ASKED = "the runbook does not ask for a file of this name."
EMPTY = "this file is empty; choose another."
SEVERAL = "choose one file."
TOO_LARGE = f"with this file all files together are larger than {LARGEST:,} bytes."
GONE = "has lost its file; start another run with it"


@dataclass(frozen=True)
class Upload:
    """A file as somebody has sent it; its name may be anything, and others may have come in the same place."""

    name: str
    content: bytes
    is_alone: bool = True

    @property
    def safe_name(self) -> str:
        """The name as scripts can use it, quoted or not: letters, digits and a few signs, none of them at first."""
        stem, dot, ending = re.sub(r"[^\w.+-]", "_", re.split(r"[/\\]", self.name)[-1]).lstrip(".-").rpartition(".")
        ending = _cut(f"{dot}{ending}", most=20 if stem else LONGEST_NAME)
        return _cut(stem, most=LONGEST_NAME - len(ending.encode())) + ending or "file"

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def __str__(self) -> str:
        """What a run's values tell of it."""
        return f"{self.safe_name} ({len(self.content):,} bytes, sha256 {self.sha256})"


def _cut(text: str, *, most: int) -> str:
    return text.encode("utf-8", "replace")[:most].decode(errors="ignore")


def taken(runbook: Runbook, values: Mapping[str, str], files: Mapping[str, Upload]) -> dict[str, Upload]:
    """The file for each variable that asks for one; of a program, which has sent a text, a file with that text in it.

    Raises InvalidValues.
    """
    asked = [requirement.name for requirement in runbook.files]
    found = {name: Upload(f"{name}.txt", _bytes(values[name])) for name in asked if values.get(name)} | dict(files)
    errors = {name: NOT_ASKED for name in found if name not in asked}
    total = 0
    for name in asked:
        if name in found:
            total += len(found[name].content)
            if message := _problem(found[name], total):
                errors[name] = message
    if errors:
        raise InvalidValues(errors)
    return found


def _problem(upload: Upload, total: int) -> str:
    """What is wrong with a file, so many bytes being sent up to it."""
    if not upload.is_alone:
        return SEVERAL
    return EMPTY if not upload.content else TOO_LARGE if total > LARGEST else ""


def _bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")  # bytes of a command line that are not UTF-8 stay what they are
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def keep(folder: Path, files: Mapping[str, Upload]) -> None:
    """Keep these files in a run's folder, for the server alone; raises OSError, and leaves nothing then."""
    try:
        for name, upload in files.items():
            _write(folder / FOLDER / name / upload.safe_name, upload.content)
    except OSError:
        tree.remove(folder / FOLDER)
        raise


def copy_to_work(run: Run, runbook: Runbook) -> dict[str, str]:
    """Copy what is kept into the working folder; where each file is then, by variable. Raises BadInput and OSError."""
    copies = {}
    for requirement in runbook.files:
        if run.values.get(requirement.name):
            kept = _kept(run, requirement.name)
            copy = run.work / FOLDER / requirement.name / kept.name
            _write(copy, kept.read_bytes())
            copies[requirement.name] = str(copy)
    return copies


def forget(run: Run) -> None:
    """Remove what is kept: the script has its copies, or will never start."""
    tree.remove(run.folder / FOLDER)


def _kept(run: Run, name: str) -> Path:
    try:
        return next((run.folder / FOLDER / name).iterdir())
    except (FileNotFoundError, StopIteration):
        raise BadInput(name, GONE) from None


def _write(file: Path, content: bytes) -> None:
    file.parent.parent.mkdir(mode=0o700, exist_ok=True)
    file.parent.mkdir(mode=0o700, exist_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as target:
        target.write(content)
