"""What is the same in two runs and what differs: in words, fact by fact and line by line."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest

from runbooks.models import Run, State
from runbooks.templatetags.show import NOTHING, duration, moment
from runbooks.web.difference import Stretch, folded, parts
from runbooks.web.printed import printed_head

NOT_KEPT = "***"  # instead of a secret
NAMED = 3  # values that the summary names
LINES = 5000  # of each run's output that are compared
# What a run did, and what two did that stand alike.
DID = {
    State.QUEUED: ("waits", "wait"),
    State.RUNNING: ("is running", "are running"),
    State.SUCCEEDED: ("succeeded", "succeeded"),
    State.FAILED: ("failed", "failed"),
    State.TIMED_OUT: ("timed out", "timed out"),
    State.CANCELLED: ("was cancelled", "were cancelled"),
    State.LOST: ("was lost", "were lost"),
    State.REFUSED: ("was refused", "were refused"),
}


@dataclass(frozen=True)
class Fact:
    """What is said of both runs under one name."""

    name: str
    a: object
    b: object
    is_telling: bool = True  # nobody wonders that two runs began at different times

    @property
    def both(self) -> tuple[object, object]:
        return self.a, self.b

    @property
    def differs(self) -> bool:
        return self.is_telling and self.a != self.b

    @property
    def is_secret(self) -> bool:
        """Whether there is nothing to be told of it, for nobody has kept what either was."""
        return self.a == self.b == NOT_KEPT


@dataclass(frozen=True)
class Change:
    """The first line in which two texts differ, and all parts that do, unless those are too many."""

    first: int | None = None
    lines: tuple[str | None, str | None] = (None, None)
    parts: list[list[Stretch]] | None = None

    @property
    def is_same(self) -> bool:
        return self.first is None


class Comparison:
    """Two runs, and what can be said of them together."""

    def __init__(self, a: Run, b: Run):
        self.a, self.b, self.runs = a, b, (a, b)
        self.places = [f"in #{run.pk}" for run in self.runs]
        self.outputs = [printed_head(run, most=LINES) for run in self.runs]
        self.lines, self.is_cut = LINES, any(output.is_cut for output in self.outputs)

    @property
    def summary(self) -> Iterator[str]:
        """What somebody would say who had looked at all of it."""
        a, b = self.runs
        alone, together = DID[a.state]
        yield f"Both {together}." if a.state == b.state else f"#{a.pk} {alone}, #{b.pk} {DID[b.state][0]}."
        yield from self._durations()
        yield from self._values()
        if a.runbook != b.runbook:
            yield "They are runs of two runbooks."
        elif a.source and b.source:
            yield "The runbook is the same." if self.script.is_same else "The runbook was changed between them."
        yield from self._outputs()

    @property
    def facts(self) -> Iterator[Fact]:
        """What the rows say; some of it only where one of the runs has it."""
        a, b = self.runs
        yield Fact("Runbook", a.runbook, b.runbook)
        yield Fact("Exit code", *(NOTHING if run.return_code is None else run.return_code for run in self.runs))
        yield Fact("By", a.actor, b.actor)
        yield Fact("Requested", moment(a.queued_at), moment(b.queued_at), is_telling=False)
        yield Fact("Duration", duration(a.seconds), duration(b.seconds), is_telling=False)
        for name, label in (("reason", "Reason"), ("address", "From"), ("revision", "Revision"), ("note", "Note")):
            if getattr(a, name) or getattr(b, name):
                yield Fact(label, *(getattr(run, name) or NOTHING for run in self.runs))

    @cached_property
    def values(self) -> list[Fact]:
        names = sorted({*self.a.values, *self.b.values})
        return [Fact(name, self.a.values.get(name), self.b.values.get(name)) for name in names]

    @cached_property
    def script(self) -> Change:
        return _change(self.a.source.split("\n"), self.b.source.split("\n"))

    @cached_property
    def output(self) -> Change:
        return _change(*(output.lines for output in self.outputs))

    @cached_property
    def silent(self) -> list[Run]:
        """The runs that have printed nothing."""
        return [run for run, output in zip(self.runs, self.outputs, strict=True) if not output.lines]

    @cached_property
    def gone(self) -> list[Run]:
        """The runs of which nobody knows any more what they have printed."""
        return [run for run in self.runs if run.started_at and not run.log.exists()]

    def _durations(self) -> Iterator[str]:
        a, b = self.runs
        if a.seconds is None or b.seconds is None or a.is_active or b.is_active:
            return
        longer, by = (a if a.seconds >= b.seconds else b), abs(a.seconds - b.seconds)
        yield "They took equally long." if by < 1 else f"#{longer.pk} took {duration(by)} longer."

    def _values(self) -> Iterator[str]:
        differing = [fact.name for fact in self.values if fact.differs]
        if differing:
            words = [*differing[:NAMED], "more"] if len(differing) > NAMED else differing
            yield f"{', '.join(words)} differ{'s' if len(words) == 1 else ''}."
        elif any(fact.is_secret for fact in self.values):
            yield "The values are the same, but for secrets, which are kept nowhere and cannot be compared."
        elif self.values:
            yield "The values are the same."

    def _outputs(self) -> Iterator[str]:
        if self.gone or self.silent:
            return
        if not self.output.is_same:
            yield f"The output differs from line {self.output.first:,} on."
        else:
            yield (
                f"The first {LINES:,} lines of their output are the same." if self.is_cut else "They printed the same."
            )


def _change(a: list[str], b: list[str]) -> Change:
    if a == b:
        return Change()
    # Where one has ended the other may have an empty line, which is another thing.
    pairs = enumerate(zip_longest(a, b), 1)
    number, lines = next((number, pair) for number, pair in pairs if pair[0] != pair[1])
    return Change(number, lines, folded(parts(a, b)))
