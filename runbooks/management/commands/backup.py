"""`manage.py backup`: one archive of the database, the logs and the outputs, while runs go on."""

import signal
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError
from django.template.defaultfilters import filesizeformat

from runbooks.execution import archive
from runbooks.management.commands.execute import UNUSABLE


class Command(BaseCommand):
    help = "Writes the database, the logs and the outputs into one archive, without secrets, while runs go on."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help="the archive to write, such as backup.tar.gz")

    def handle(self, *, file: Path, **options: Any) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            # Else what has been written so far would stay.
            signal.signal(number, lambda number, _: sys.exit(128 + number))
        try:
            backup = archive.write(file)
        except archive.CannotBackUp as problem:
            self.stderr.write(str(problem))
            sys.exit(1)
        except DatabaseError as problem:
            self.stderr.write(UNUSABLE.format(problem))
            sys.exit(1)
        for path in backup.left_out:
            self.stderr.write(f"Left out, for it cannot be read or is no file: {path}")
        size = filesizeformat(backup.bytes).replace("\xa0", " ")
        self.stdout.write(f"{file}: {backup.runs} run{'' if backup.runs == 1 else 's'}, {size}.")
