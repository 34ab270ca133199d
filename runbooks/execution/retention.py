"""Removes runs that are past keeping, and folders that belong to none, beside everything that goes on.

A run goes from the database first and its folder then: nobody is ever shown a run without its log, and a folder that
a prune left when it was killed belongs to no run, which is how the next one knows it.
"""

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.db import transaction
from django.db.models import Max, QuerySet
from django.utils import timezone

from runbooks.execution import folder, tree, workspace
from runbooks.execution.idempotency import KEPT
from runbooks.models import ACTIVE, IdempotencyKey, Run, runs_folder

BATCH = 200  # runs deleted at once: nobody can write to SQLite meanwhile
LAST_LOOK = 2.0  # seconds in which whoever has just been given a run opens its log
PAUSE = 0.1  # seconds between two batches, in which whoever waits for the database gets it
STRAY_SECONDS = 3600  # a folder that is younger may belong to a run whose row is about to be written
BLOCK = 512  # what st_blocks counts
logger = logging.getLogger(__name__)


class Busy(Exception):
    """Runs cannot be pruned now: a backup reads what they have left, or another prune goes on."""


@dataclass(frozen=True)
class Pruned:
    """What a prune has removed: runs, folders that belonged to no run, and the bytes that all of them took."""

    runs: int
    bytes: int
    strays: int


def prune(*, days: int, most_bytes: int, is_rehearsal: bool = False) -> Pruned:
    """Remove the runs that ended more than `days` ago, then the oldest until all take at most `most_bytes`; 0 is any.

    Pinned runs stay, and so do those with active runs below them, or with a key that could start another in their
    place. Raises Busy.
    """
    with alone():
        doomed = _past_keeping(days=days, most_bytes=most_bytes)
        strays = _strays()
        if is_rehearsal:
            size = sum(_sizes(doomed).values()) + sum(map(_bytes_of, strays))
            return Pruned(len(doomed), size, len(strays))
        gone = []
        for start in range(0, len(doomed), BATCH):
            gone += _delete(doomed[start : start + BATCH])
            time.sleep(PAUSE)
        time.sleep(LAST_LOOK if gone else 0)
        for run in gone:
            workspace.remove(run)
        return Pruned(len(gone), _remove([*(run.folder for run in gone), *strays]), len(strays))


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Let nobody prune meanwhile; raises Busy."""
    with _locked(fcntl.LOCK_SH):
        yield


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Let nobody else prune, nor read what is pruned as a whole; raises Busy."""
    with _locked(fcntl.LOCK_EX):
        yield


@contextlib.contextmanager
def _locked(how: int) -> Iterator[None]:
    runs = runs_folder()
    runs.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(runs, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Busy("A prune or a backup goes on already; try again when it has ended.") from None
    finally:
        os.close(descriptor)


def _past_keeping(*, days: int, most_bytes: int) -> list[int]:
    """The runs to remove, the oldest first."""
    above, since = _above_active(), timezone.now() - timedelta(days=days)
    removable = _removable().order_by("ended_at", "pk").values_list("pk", "ended_at")
    ended = [(pk, ended_at) for pk, ended_at in removable if pk not in above]
    doomed = [pk for pk, ended_at in ended if days and ended_at < since]
    if not most_bytes:
        return doomed
    past = set(doomed)
    sizes = _sizes(pk for pk in _ended().values_list("pk", flat=True) if pk not in past)
    total = sum(sizes.values())
    for pk, _ in ended[len(doomed) :]:
        if total <= most_bytes:
            break
        doomed.append(pk)
        total -= sizes.get(pk, 0)
    return doomed


def _ended() -> QuerySet[Run]:
    return Run.objects.exclude(state__in=ACTIVE).order_by()


def _removable() -> QuerySet[Run]:
    keyed = IdempotencyKey.objects.filter(created_at__gt=timezone.now() - KEPT)
    return _ended().filter(is_pinned=False, ended_at__isnull=False).exclude(pk__in=keyed.values("run"))


def _delete(batch: list[int]) -> list[Run]:
    """Delete these runs' rows, but for those that are no longer removable, and say which have gone."""
    with transaction.atomic():
        # In here, nobody can pin a run that is then deleted all the same.
        going = list(_removable().filter(pk__in=set(batch) - _above_active()).only("pk"))
        going = [run for run in going if not folder.is_alive(run.folder)]
        Run.objects.filter(pk__in=[run.pk for run in going]).only("pk").delete()
    return going


def _above_active() -> set[int]:
    """The runs that have active ones below them, also where the run between has ended."""
    found: set[int] = set()
    below = Run.objects.filter(state__in=ACTIVE)
    while parents := set(below.exclude(parent=None).values_list("parent", flat=True)) - found:
        found |= parents
        below = Run.objects.filter(pk__in=parents)
    return found


def _strays() -> list[Path]:
    """Folders that belong to no run, and to none that is about to be; those of another database's runs stay."""
    newest = Run.objects.aggregate(Max("pk"))["pk__max"] or 0
    known = set(Run.objects.order_by().values_list("pk", flat=True))
    with os.scandir(runs_folder()) as entries:
        return [Path(entry.path) for entry in entries if _is_stray(entry, known=known, newest=newest)]


def _is_stray(entry: os.DirEntry[str], *, known: set[int], newest: int) -> bool:
    number, _, moved = entry.name.partition(".before-")
    if not _is_number(number) or not entry.is_dir(follow_symlinks=False):
        return False
    if entry.name != number:
        return _is_number(moved) and time.time() - int(moved) / 1e9 > STRAY_SECONDS
    return int(number) < newest and int(number) not in known and _age(entry) > STRAY_SECONDS


def _age(entry: os.DirEntry[str]) -> float:
    try:
        return time.time() - entry.stat(follow_symlinks=False).st_mtime
    except OSError:
        return 0.0


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit() and len(name) < 20 and not name.startswith("0")


def _remove(folders: Iterable[Path]) -> int:
    """Remove these folders; how many bytes they took."""
    freed = 0
    for one in folders:
        freed += _bytes_of(one)
        tree.remove(one)
        if os.path.lexists(one):
            logger.warning("%s could not be removed; the next prune tries again", one)
    return freed


def _sizes(runs: Iterable[int]) -> dict[int, int]:
    # As text: of 100,000 runs, making Paths would take longer than looking.
    root = os.fspath(runs_folder())
    return {pk: _bytes_of(f"{root}/{pk}") for pk in runs}


def _bytes_of(run: str | Path) -> int:
    """What a run's folder takes on the disk for the log and outputs; to ask for all its files would take far longer."""
    outputs = f"{run}/outputs"
    total, folders = _blocks(f"{run}/log"), [outputs] if os.path.lexists(outputs) else []
    while folders:
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                total += _blocks(entry.path)
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
    return total


def _blocks(path: str) -> int:
    try:
        return os.lstat(path).st_blocks * BLOCK
    except OSError:
        return 0
