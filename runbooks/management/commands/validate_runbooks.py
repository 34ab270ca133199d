"""`manage.py validate_runbooks`: what is wrong with runbook files, for their authors and for CI; needs no database."""

import os
import signal
import stat
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from runbooks import library
from runbooks.document.parse import parse, unreadable
from runbooks.document.runbook import LARGEST_FILE, Problem, Runbook
from runbooks.document.validate import validate

Found = dict[Path, Path]


class NoSuchRunbooks(Exception):
    """There is nothing to check at a path; str() is a sentence that says why."""


class Command(BaseCommand):
    help = "Checks runbooks and prints `file:line: problem` for each problem; exits with 1 if one of them is an error."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="a runbook or a folder of them")

    def handle(self, *, paths: list[Path], **options: Any) -> None:
        # Else `| head`, or a file's name that the terminal's encoding does not have, would end this in a traceback.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        sys.stdout.reconfigure(errors="backslashreplace")
        try:
            found = runbooks_at(paths or [default_path()])
        except NoSuchRunbooks as missing:
            self.stderr.write(str(missing))
            sys.exit(2)
        problems = [(file, problem) for file in sorted(found) for problem in problems_of(file, root=found[file])]
        for file, problem in problems:
            self.stdout.write(line(file, problem))
        errors = sum(problem.severity == "error" for _, problem in problems)
        # Not among the problems: stdout is for programs to read.
        self.stderr.write(f"Runbooks: {len(found)}, errors: {errors}, warnings: {len(problems) - errors}.", str)
        sys.exit(1 if errors else 0)


def default_path() -> Path:
    """RUNBOOKS_DIR, as short as it can be named from here."""
    if trouble := library.trouble():
        raise NoSuchRunbooks(trouble)
    root, here = settings.RUNBOOKS_DIR, Path.cwd()
    return root.relative_to(here) if root.is_relative_to(here) else root


def runbooks_at(paths: list[Path]) -> Found:
    """The runbooks at these paths, each with the folder that its input files may not lead out of."""
    try:
        return {file: root_of(path) for path in paths for file in files_at(path)}
    except OSError as problem:
        # To pass over a folder would tell CI that all is well with what is in it.
        raise NoSuchRunbooks(f"{shown(str(problem.filename))} cannot be read: {problem.strerror}.") from None


def files_at(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from files_below(path)
    elif not os.path.lexists(path):
        raise NoSuchRunbooks(f"There is no file or folder {shown(str(path))}.")
    elif not path.name.endswith(".md"):
        raise NoSuchRunbooks(f"{shown(str(path))} is no runbook: the name of one ends in .md.")
    else:
        yield path


def files_below(folder: Path) -> Iterator[Path]:
    """What the server finds, too: neither hidden files nor what is in hidden or linked folders."""
    for parent, folders, names in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.endswith(".md") and not name.startswith("."):
                yield Path(parent) / name


def fail(problem: OSError) -> None:
    raise problem


def root_of(path: Path) -> Path:
    """RUNBOOKS_DIR for what is in it; elsewhere the folder itself, or the file's folder."""
    real, root = Path(os.path.realpath(path)), settings.RUNBOOKS_DIR.resolve()
    if real.is_relative_to(root):
        return root
    return real if real.is_dir() else real.parent


def problems_of(file: Path, *, root: Path) -> tuple[Problem, ...]:
    """All that is wrong with one file on this machine."""
    real = Path(os.path.realpath(file))
    if not real.is_relative_to(root):
        return (Problem("File", 1, f"this is a link that leads out of {root}; the server passes it over."),)
    return validate(read(file), folder=real.parent, root=root)


def read(file: Path) -> Runbook:
    name = file.name.removesuffix(".md")
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            # Opening a pipe would wait for ever for somebody to write into it.
            return unreadable("this is not a regular file.", name=name)
        if status.st_size > LARGEST_FILE:
            return unreadable(f"the file is larger than {LARGEST_FILE // 1024} KiB.", name=name)
        return parse(file.read_bytes(), name=name)
    except OSError as problem:
        return unreadable(f"the file cannot be read: {problem.strerror}.", name=name)


def line(file: Path, problem: Problem) -> str:
    mark = "warning: " if problem.severity == "warning" else ""
    return shown(f"{file}:{problem.line}: {mark}{problem.section}: {problem.message}")


def shown(text: str) -> str:
    """The text on one line: neither a file's name nor what stands in a file may steer a terminal."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
