"""Writes the History in a runbook's file anew from the database, of which it is a copy."""

from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.db.models import Q, QuerySet

from runbooks.access import rules
from runbooks.access.actor import Actor
from runbooks.document import history
from runbooks.execution.settle import entry_of, excerpts
from runbooks.library import LibraryRunbook
from runbooks.models import ACTIVE, Run, State

# What was cancelled in the queue is told of nowhere, and of refused runs one a minute.
TOLD_OF = (Q(started_at__isnull=False) & ~Q(state__in=(*ACTIVE, State.REFUSED))) | Q(
    state=State.REFUSED, is_in_history=True
)

BULK = ("source", "values", "sealed_values")


@dataclass
class Rebuild:
    """The History of one file, which may be several runbooks, for some may be links to it."""

    runbooks: list[LibraryRunbook]
    entries: dict[int, history.Entry] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        return self.runbooks[0].file

    @property
    def is_of_none(self) -> bool:
        """Whether the database knows of nothing that this History could tell."""
        return not self._runs().exists()

    def write(self) -> int:
        """Write it, and say how many runs it tells of; raises history.CannotWrite."""
        self._told()  # all that is in the logs is read before others have to wait for the lock
        history.rewrite(self.file, self._told, keep=settings.HISTORY_ENTRIES)
        return len(self._told()[0])

    def _told(self) -> history.Told:
        running = Run.objects.filter(state=State.RUNNING, runbook__in=self._paths())
        # Each end is recorded in the file first and then in the database: what the file has of those in between stays.
        unsettled = set(running.values_list("pk", flat=True))
        newest = self._runs().defer(*BULK).order_by("-ended_at", "-pk")[: settings.HISTORY_ENTRIES]
        entries = [self.entries.get(run.pk) or self._entry(run) for run in reversed(list(newest))]
        return entries, unsettled - {entry.run for entry in entries}

    def _entry(self, run: Run) -> history.Entry:
        told = {"stderr": self._refusal(run)} if run.state == State.REFUSED else excerpts(run)
        self.entries[run.pk] = entry_of(run, State(run.state), run.return_code, run.ended_at, **told)
        return self.entries[run.pk]

    def _refusal(self, run: Run) -> str:
        """Why the run was refused, as far as that can still be known."""
        runbook = next(one for one in self.runbooks if one.path == run.runbook)
        actor = Actor(run.actor, {claim: tuple(values) for claim, values in run.claims.items()})
        if rules.sees_runs(actor, runbook.runbook):
            return "A claim was missing that the runbook required then."
        return str(rules.Refused(actor, runbook.runbook.claims))

    def _runs(self) -> QuerySet[Run]:
        return Run.objects.filter(TOLD_OF, runbook__in=self._paths())

    def _paths(self) -> list[str]:
        return [runbook.path for runbook in self.runbooks]
