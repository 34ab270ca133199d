"""`manage.py rebuild_history`: writes the History in runbooks' files anew from the database."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import DatabaseError

from runbooks import library
from runbooks.document.history import CannotWrite
from runbooks.execution.rebuild import Rebuild
from runbooks.library import LibraryRunbook
from runbooks.management.commands.execute import UNUSABLE


class NoSuchRunbook(Exception):
    """There is no such runbook; str() is a sentence that says so."""


class Command(BaseCommand):
    help = "Writes the History in runbooks' files anew from the database; by default in all that it knows runs of."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "names", nargs="*", metavar="RUNBOOK", help="a path below RUNBOOKS_DIR, .md may be left out"
        )

    def handle(self, *, names: list[str], **options: Any) -> None:
        if not settings.HISTORY_ENTRIES:
            sys.exit("HISTORY_ENTRIES is 0: no History is written.")
        try:
            found = rebuilds(names)
            failed = [rebuild for rebuild in found if not self._write(rebuild)]
        except NoSuchRunbook as missing:
            self.stderr.write(str(missing))
            sys.exit(2)
        except DatabaseError as problem:
            self.stderr.write(UNUSABLE.format(problem))
            sys.exit(2)
        sys.exit(1 if failed else 0)

    def _write(self, rebuild: Rebuild) -> bool:
        shown = ", ".join(runbook.path for runbook in rebuild.runbooks)
        try:
            told = rebuild.write()
        except CannotWrite as problem:
            self.stderr.write(f"{shown}: History was not written: {problem}")
            return False
        self.stdout.write(f"{shown}: History tells of {told} run{'' if told == 1 else 's'}.")
        return True


def rebuilds(names: list[str]) -> list[Rebuild]:
    """One for each file; without names, of those that the database knows runs of."""
    if trouble := library.trouble():
        raise NoSuchRunbook(trouble)
    files: dict[Path, list[LibraryRunbook]] = {}
    for runbook in library.runbooks():
        files.setdefault(runbook.file, []).append(runbook)
    every = [Rebuild(runbooks) for runbooks in files.values()]
    # A History that tells of another database's runs is not to be emptied by accident.
    return [named(name, every) for name in names] or [rebuild for rebuild in every if not rebuild.is_of_none]


def named(name: str, every: list[Rebuild]) -> Rebuild:
    for path in (name, f"{name}.md"):
        for rebuild in every:
            if path in [runbook.path for runbook in rebuild.runbooks]:
                return rebuild
    raise NoSuchRunbook(f"There is no runbook {name}; name one by its path below RUNBOOKS_DIR.")
