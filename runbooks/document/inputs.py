"""Which files beside a runbook a run gets, and none from outside the runbooks' folder."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from runbooks.document.runbook import Runbook

MOST_FILES = 10_000
TOO_MANY = f"brings more than {MOST_FILES} files; name those that the script needs"
LONGEST_PATH = 1_000
LONGEST_NAME = 255


class BadInput(Exception):
    """An input file is missing or not to be used; path is as the runbook has it, str() a sentence about it."""

    def __init__(self, path: str, reason: str):
        super().__init__(f"{path} {reason}.")
        self.path = path


def refused_path(path: str) -> str | None:
    """Why a runbook may not name this path at all, whatever the disk holds, or None."""
    parts = PurePosixPath(path).parts
    if path.startswith("/") or "\\" in path or "\0" in path:
        return "must be a path relative to the runbook, with / between its parts"
    if not path.isprintable():
        return "has a character that cannot be seen; rename the file"
    if len(path) > LONGEST_PATH or any(len(part.encode()) > LONGEST_NAME for part in parts):
        return f"is too long: a path has at most {LONGEST_PATH} characters, and each name in it {LONGEST_NAME} bytes"
    if ".." in parts:
        return "must not contain .."
    if not parts:
        return "must name a file or folder beside the runbook"
    return None


def input_files(runbook: Runbook, *, folder: Path, root: Path) -> list[tuple[Path, PurePosixPath]]:
    """The files to copy, each with its path in the run's working folder; BadInput for the first that cannot be had."""
    found: dict[PurePosixPath, Path] = {}
    for path in runbook.inputs:
        for source, target in files_of_input(path, folder=folder, root=root):
            found[target] = source
            if len(found) > MOST_FILES:
                raise BadInput(path, TOO_MANY)
    return [(source, target) for target, source in found.items()]


def files_of_input(path: str, *, folder: Path, root: Path) -> Iterator[tuple[Path, PurePosixPath]]:
    """The file that an Input line names, or all files of the folder that it names."""
    if reason := refused_path(path):
        raise BadInput(path, reason)
    target = PurePosixPath(path)
    try:
        yield from _files(folder / path, target, path=path, root=root.resolve(strict=True))
    except FileNotFoundError:
        raise BadInput(path, "does not exist beside the runbook") from None
    except (OSError, ValueError, RuntimeError) as error:
        # Until Python 3.13 a loop of links is a RuntimeError.
        raise BadInput(path, f"cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _files(source: Path, target: PurePosixPath, *, path: str, root: Path) -> Iterator[tuple[Path, PurePosixPath]]:
    real = source.resolve(strict=True)
    if not real.is_relative_to(root):
        raise BadInput(path, "leads outside the runbooks' folder")
    if real.is_file():
        with real.open("rb"):
            yield real, target
    elif real.is_dir() and not source.is_symlink():
        for child in sorted(source.iterdir()):
            yield from _files(child, target / child.name, path=path, root=root)
    else:
        # Copying a named pipe would wait for ever, and following links to folders can go in circles.
        name = os.fsencode(source.name).decode(errors="replace")  # what is not UTF-8 could not be told
        raise BadInput(path, f"contains {name}, which is neither a file nor a folder")
