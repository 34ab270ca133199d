"""`manage.py prune_runs`: removes the runs that are past keeping, as the runner does once a day."""

import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import DatabaseError
from django.template.defaultfilters import filesizeformat

from runbooks.execution import retention
from runbooks.management.commands.execute import UNUSABLE
from runbookweb.env import TEBIBYTE
from runbookweb.readers import whole

MOST_DAYS = 100_000


class Command(BaseCommand):
    help = "Removes ended runs that are older, or more, than are to be kept: their rows, logs and outputs."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        days, most_bytes = number(most=MOST_DAYS), number(most=TEBIBYTE)
        parser.add_argument("--days", type=days, help="keep them so long; by default RUN_RETENTION_DAYS, 0 is for ever")
        parser.add_argument("--bytes", type=most_bytes, help="keep so much; by default RUN_RETENTION_BYTES, 0 is any")
        parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")

    def handle(self, *, days: int | None, bytes: int | None, dry_run: bool, **options: Any) -> None:
        days = settings.RUN_RETENTION_DAYS if days is None else days
        most_bytes = settings.RUN_RETENTION_BYTES if bytes is None else bytes
        try:
            pruned = retention.prune(days=days, most_bytes=most_bytes, is_rehearsal=dry_run)
        except retention.Busy as busy:
            self.stderr.write(str(busy))
            sys.exit(1)
        except DatabaseError as problem:
            self.stderr.write(UNUSABLE.format(problem))
            sys.exit(1)
        self.stdout.write(("Would be removed: " if dry_run else "Removed: ") + told(pruned))
        if not days and not most_bytes:
            self.stdout.write("Neither RUN_RETENTION_DAYS nor RUN_RETENTION_BYTES is set: every run is kept.")


def number(*, most: int) -> Callable[[str], int]:
    """A reader of whole numbers from 0 up to this."""
    read = whole(0, most)

    def number(text: str) -> int:
        try:
            return read(text)
        except ValueError as problem:
            raise ArgumentTypeError(f"{text!r} {problem}") from None

    return number


def told(pruned: retention.Pruned) -> str:
    size = filesizeformat(pruned.bytes).replace("\xa0", " ")
    runs = f"{pruned.runs} run{'' if pruned.runs == 1 else 's'}, {size}"
    return f"{runs}; folders that belonged to no run: {pruned.strays}." if pruned.strays else f"{runs}."
