"""`manage.py execute`: one run from the terminal, with its output here and its script's exit code as its own.

It does for this run what a runner does for all, so that no server is needed; where one runs, either may be quicker.
"""

import asyncio
import contextlib
import copy
import getpass
import logging
import os
import select
import signal
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError
from django.http import Http404

from runbooks import library
from runbooks.access import rules
from runbooks.access.actor import Actor
from runbooks.document.runbook import Runbook
from runbooks.document.validate import InvalidValues
from runbooks.execution import control, folder, launch, script_user
from runbooks.execution.runner import PULSE, settle_if_ended
from runbooks.execution.runner import start as start_taken
from runbooks.library import LibraryRunbook
from runbooks.models import Run, State
from runbooks.output.entries import parse
from runbooks.output.follow import LIVE_FIELDS, Reader
from runbooks.output.watch import watch
from runbooks.threads import in_runner_thread, in_thread

LONGEST_NAME = Run._meta.get_field("actor").max_length
UNUSABLE = "The database cannot be used: {}. If it is new, run `manage.py migrate` first."


class BadArgument(Exception):
    """What was asked for on the command line cannot be done; str() is a sentence that never repeats a value."""


class Command(BaseCommand):
    help = "Runs a runbook, prints what its script prints and exits with its code; Ctrl-C cancels the run."
    requires_system_checks = ()

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        # By itself, argparse takes no VAR=value that stands after an option.
        parser.parse_args = parser.parse_intermixed_args
        return parser

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME", help="the runbook's path below RUNBOOKS_DIR, with or without .md")
        parser.add_argument("values", nargs="*", metavar="VAR=value", help="what the runbook asks for")
        several = {"action": "append", "default": []}
        parser.add_argument("--from-env", **several, metavar="VAR", help="take VAR from the environment, for secrets")
        parser.add_argument("--role", **several, metavar="ROLE", dest="roles", help="a value of the claim `roles`")
        parser.add_argument("--as", metavar="NAME", dest="subject", help="who asks; by default who is logged in")
        parser.add_argument("--confirm", action="store_true", help="run it although it wants to be confirmed")
        parser.add_argument("--reason", default="", metavar="TEXT", help="why, to be kept with the run")

    def handle(self, *, name: str, values: list[str], from_env: list[str], **options: Any) -> None:
        if options["verbosity"] < 2:
            # Below warnings, stderr is the script's.
            logging.disable(logging.INFO)
        try:
            actor = actor_named(options["subject"], roles=options["roles"])
            given = values_given(values, from_env=from_env)
            if problem := script_user.problem():
                raise BadArgument(problem)
            asked = {"is_confirmed": options["confirm"], "reason": options["reason"]}
            run = asyncio.run(executed(name, actor, values=given, **asked))
        except BadArgument as problem:
            self.stderr.write(str(problem))
            sys.exit(2)
        sys.exit(exit_code(run))


def actor_named(subject: str | None, *, roles: list[str]) -> Actor:
    try:
        name = getpass.getuser() if subject is None else subject
    except (KeyError, OSError, ImportError):  # which of them depends on Python's version
        raise BadArgument("Nobody is logged in here; say with --as who you are.") from None
    if not name or not name.isprintable() or len(name) > LONGEST_NAME:
        raise BadArgument(f"Say with --as who you are, in 1 to {LONGEST_NAME} characters that can be printed.")
    return Actor(id=name, claims={"roles": tuple(dict.fromkeys(roles))})


def values_given(assignments: list[str], *, from_env: Iterable[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for number, assignment in enumerate(assignments, start=1):
        name, is_assigned, value = assignment.partition("=")
        if not name or not is_assigned:
            raise BadArgument(f"Values are given as VAR=value, and number {number} is not.")
        _add(values, name, value)
    for name in from_env:
        if name not in os.environ:
            raise BadArgument(f"--from-env {name}: there is no such variable in the environment.")
        _add(values, name, os.environ[name])
    return values


def _add(values: dict[str, str], name: str, value: str) -> None:
    if name in values:
        raise BadArgument(f"{name} is given twice.")
    values[name] = value


async def executed(name: str, actor: Actor, *, values: dict[str, str], **asked: object) -> Run:
    """The run, settled; raises BadArgument if there was none."""
    is_interrupted = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Before there is a run: one that was interrupted as it began must not go on unseen.
        asyncio.get_running_loop().add_signal_handler(number, is_interrupted.set)
    run = await in_thread(start, name, actor, values=values, **asked)
    trouble = None
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(Keeper(copy.copy(run)).keep())
            canceller = tasks.create_task(cancel_when(is_interrupted, actor, copy.copy(run)))
            await Terminal().show(run)
            canceller.cancel()
    except* (DatabaseError, Run.DoesNotExist) as problems:
        trouble = problems.exceptions[0]
    if trouble:
        sys.exit(f"The database failed, and this command with it; run {run.pk} may still go on. {trouble}")
    return run


def start(name: str, actor: Actor, *, values: dict[str, str], **asked: object) -> Run:
    runbook = runbook_named(name, actor)
    files = files_given(runbook.runbook, values)
    try:
        return control.start_run(actor, runbook, values=values, files=files, **asked)
    except InvalidValues as invalid:
        raise BadArgument("\n".join(f"{name}: {message}" for name, message in invalid.errors.items())) from None
    except control.NotConfirmed:
        raise BadArgument("This runbook wants to be confirmed: add --confirm to run it now.") from None
    except DatabaseError as problem:
        raise BadArgument(UNUSABLE.format(problem)) from None
    except (rules.Refused, control.CannotRun) as problem:
        raise BadArgument(str(problem)) from None


def runbook_named(name: str, actor: Actor) -> LibraryRunbook:
    if trouble := library.trouble():
        raise BadArgument(trouble)
    for path in (name, f"{name}.md"):
        with contextlib.suppress(Http404):
            return library.runbook_for(actor, path)
    raise BadArgument(f"There is no runbook {name}; name one by its path below RUNBOOKS_DIR.")


def files_given(runbook: Runbook, values: Mapping[str, str]) -> dict[str, control.Upload]:
    """What is given as VAR=@path, for variables that ask for a file; any other text is what is in the file."""
    paths = {one.name: Path(values[one.name][1:]) for one in runbook.files if values.get(one.name, "").startswith("@")}
    return {name: control.Upload(path.name, _content(name, path)) for name, path in paths.items()}


def _content(name: str, path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(control.LARGEST_FILES + 1)  # so much is too much already
    except (OSError, ValueError) as problem:
        raise BadArgument(f"{name}: {path} cannot be read: {getattr(problem, 'strerror', problem)}.") from None


async def cancel_when(is_interrupted: asyncio.Event, actor: Actor, run: Run) -> None:
    await is_interrupted.wait()
    await in_thread(control.cancel_run, actor, run)


def exit_code(run: Run) -> int:
    """The script's; but never 0 for a run that did not succeed, nor what a system would cut to 0."""
    if run.state == State.SUCCEEDED:
        return 0
    return run.return_code if run.return_code and run.return_code < 256 else 1


class Keeper:
    """Does for one run what a runner does for all: takes it, starts it, ends it if asked to, settles it."""

    def __init__(self, run: Run):
        self.run = run

    async def keep(self) -> None:
        """Until the run is settled, by whomever."""
        bell = watch(self.run.folder)
        try:
            while not await in_runner_thread(self._look):
                await bell.wait(PULSE)
        finally:
            bell.close()

    def _look(self) -> bool:
        self.run.refresh_from_db(fields=LIVE_FIELDS)
        if self.run.state == State.QUEUED:
            lock = launch.take(self.run)
            if lock is not None:
                with contextlib.suppress(OSError):  # something was short for a moment: it is queued again
                    start_taken(self.run, lock)
        elif self.run.state == State.RUNNING and not settle_if_ended(self.run) and self.run.cancelled_at:
            folder.cancel(self.run)
        return not self.run.is_active


class Terminal:
    """Prints what a run prints, each stream to its own, byte for byte."""

    def __init__(self) -> None:
        self.open = {"stdout": 1, "stderr": 2}

    async def show(self, run: Run) -> None:
        """All output until the run is settled, and what went wrong beside it; `run` is then as it ended."""
        async for part in Reader(run).follow():
            # In a thread: whoever reads our output may pause, and Ctrl-C must be heard all the same.
            await asyncio.to_thread(self._print, part.data)
        await asyncio.to_thread(self._write, "stderr", b"".join(notes(run)))

    def _print(self, data: bytes) -> None:
        # Neighbours together: a call for each line of a flood would take longer than all the rest.
        for stream, entries in groupby(parse(data), key=attrgetter("stream")):
            self._write(stream, b"".join(entry.content + b"\n" * (not entry.is_part) for entry in entries))

    def _write(self, stream: str, data: bytes) -> None:
        left = memoryview(data)
        while left and stream in self.open:
            try:
                left = left[os.write(self.open[stream], left) :]
            except BlockingIOError:
                select.select((), (self.open[stream],), ())
            except OSError:
                # Its reader has gone, such as `head`: the run goes on, and is settled, all the same.
                del self.open[stream]


def notes(run: Run) -> Iterator[bytes]:
    """What a run's log cannot say, in the form of the supervisor's notes."""
    lost = ["lost: nobody can know how the script ended."] if run.state == State.LOST else []
    for note in (*run.warnings, *lost):
        yield f"[runbook] {note}\n".encode(errors="backslashreplace")
