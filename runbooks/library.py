"""The runbooks below RUNBOOKS_DIR, never a file outside it, and the runs of theirs that an actor may see."""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from django.conf import settings
from django.db.models import Max, QuerySet
from django.http import Http404

from runbooks.access import rules
from runbooks.access.actor import Actor
from runbooks.document.parse import parse, unreadable
from runbooks.document.runbook import LARGEST_FILE, Problem, Runbook
from runbooks.document.validate import validate
from runbooks.models import Run

MAX_BYTES = LARGEST_FILE
MAX_PATH = Run._meta.get_field("runbook").max_length

Fingerprint = tuple[int, int, int]
_parsed: dict[str, tuple[Fingerprint, bytes, Runbook]] = {}
_path = lru_cache(maxsize=10_000)(Path)


@dataclass(frozen=True)
class LibraryRunbook:
    """A runbook's file, and what it says."""

    path: str
    file: Path
    source: bytes
    runbook: Runbook

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """What the file and this machine lack; asked anew for each request, for a program may have been installed."""
        return validate(self.runbook, folder=self.file.parent, root=settings.RUNBOOKS_DIR.resolve())

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")


def runbooks() -> list[LibraryRunbook]:
    """All runbooks, sorted by path."""
    global _parsed
    if trouble():
        return []
    found, kept = [], {}
    for path, file, status in sorted(_files(str(settings.RUNBOOKS_DIR.resolve()))):
        kept[file] = parsed = _read(file, status, name=path.rpartition("/")[2].removesuffix(".md"))
        found.append(LibraryRunbook(path=path, file=_path(file), source=parsed[1], runbook=parsed[2]))
    # Replaced as a whole: another thread keeps what it has, and what is gone from the folder goes from memory.
    _parsed = kept
    return found


def trouble() -> str:
    """Why there can be no runbooks, as a sentence about RUNBOOKS_DIR, or nothing."""
    root = settings.RUNBOOKS_DIR
    try:
        with os.scandir(root):
            return ""
    except FileNotFoundError:
        reason = "does not exist"
    except NotADirectoryError:
        reason = "is not a folder"
    except OSError as problem:
        reason = f"cannot be read: {problem.strerror}"
    return f"RUNBOOKS_DIR is {root}, which {reason}."


def runbook_for(actor: Actor, path: str) -> LibraryRunbook:
    """The runbook at this path, which may lack its .md, and which any actor may read; Http404 if there is none."""
    found = {runbook.path: runbook for runbook in runbooks()}
    runbook = found.get(path) or found.get(f"{path}.md")
    if runbook is None:
        raise Http404(f"There is no runbook {path}.")
    return runbook


def visible_runs(actor: Actor, *, known: Sequence[LibraryRunbook] | None = None) -> QuerySet[Run]:
    """The runs that this actor may see, newest first; whoever has the runbooks already need not read them again."""
    known = {runbook.path: runbook.runbook for runbook in (runbooks() if known is None else known)}
    return Run.objects.filter(rules.seen_runs(actor, known))


def run_for(actor: Actor, pk: int) -> Run:
    """The run, if this actor may see it; otherwise Http404, as if it did not exist."""
    run = visible_runs(actor).filter(pk=pk).first()
    if run is None:
        raise Http404(f"There is no run #{pk}, or you may not see it.")
    return run


def newest(runs: QuerySet[Run], *, most: int) -> list[Run]:
    """The newest of these runs, for a list.

    Their keys are found in an index alone: rows have their sources, and to look through many of them takes long.
    """
    keys = list(runs.order_by("-pk").values_list("pk", flat=True)[:most])
    return list(without_bulk(Run.objects.filter(pk__in=keys)))


def last_runs(actor: Actor) -> dict[str, Run]:
    """The newest run that this actor may see of each runbook, by path."""
    newest = Run.objects.order_by().values("runbook").annotate(newest=Max("pk")).values("newest")
    return {run.runbook: run for run in without_bulk(visible_runs(actor).filter(pk__in=newest))}


def without_bulk(runs: QuerySet[Run]) -> QuerySet[Run]:
    """The same runs for a list, which needs neither their sources nor their values: those may be large."""
    return runs.defer("source", "values", "sealed_values", "claims")


def _files(root: str) -> Iterator[tuple[str, str, os.stat_result]]:
    """Each runbook's path and file, as text: of a thousand files, Paths would take most of the time."""
    folders = [""]
    while folders:
        folder = folders.pop()
        for entry in _entries(f"{root}/{folder}"):
            path = folder + entry.name
            # Linked folders are not entered: a link to a parent would never end.
            if entry.is_dir(follow_symlinks=False):
                folders.append(f"{path}/")
            elif path.endswith(".md") and _is_speakable(path):
                yield from _file(root, path, entry)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError:
        return []


def _file(root: str, path: str, entry: os.DirEntry[str]) -> Iterator[tuple[str, str, os.stat_result]]:
    try:
        is_inside, file = True, entry.path
        if entry.is_symlink():
            linked = Path(entry.path).resolve()
            is_inside, file = linked.is_relative_to(root), str(linked)
        status = entry.stat()
    except (OSError, RuntimeError):
        return
    # Opening a pipe would wait for ever for somebody to write into it.
    if is_inside and stat.S_ISREG(status.st_mode):
        yield path, file, status


def _is_speakable(path: str) -> bool:
    """Whether the path can stand in an address, a page and the database."""
    return path.isprintable() and len(path) <= MAX_PATH


def _read(file: str, status: os.stat_result, *, name: str) -> tuple[Fingerprint, bytes, Runbook]:
    fingerprint = (status.st_mtime_ns, status.st_size, status.st_ino)
    known = _parsed.get(file)
    if known and known[0] == fingerprint and known[2].name == name:
        return known
    if status.st_size > MAX_BYTES:
        return fingerprint, b"", unreadable(f"the file is larger than {MAX_BYTES // 1024} KiB.", name=name)
    try:
        source = Path(file).read_bytes()
    except OSError as problem:
        # Not remembered under its fingerprint: a changed permission changes neither time nor size.
        return (0, 0, 0), b"", unreadable(f"the file cannot be read: {problem.strerror}.", name=name)
    return fingerprint, source, parse(source, name=name)
