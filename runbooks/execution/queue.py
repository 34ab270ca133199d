"""Which queued runs may begin, and why the others wait: both by the same rules, so that they cannot disagree."""

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import NamedTuple

from django.conf import settings
from django.db.models import QuerySet

from runbooks.models import Run, State
from runbookweb import drain, metrics

BATCH = 200  # runs that are looked at together: of ten thousand that wait, few can begin
FRESH = 1.0  # seconds after which it is asked anew where the runs stand
PAUSE = 9  # times as long as asking took: however long the queue, that never takes more than a tenth of a processor
NAMED = 3  # runs that a sentence names


class Waiting(NamedTuple):
    """What decides on a queued run's turn."""

    pk: int
    parent: int | None
    runbook: str
    concurrency: int | None


class Lack(Enum):
    """Of what there is no place."""

    SERVER = "the server, or the run that has asked for it"
    RUNBOOK = "its runbook"


class Places:
    """The places that are taken; each run that waits is asked about once, in the order of their turns.

    The sub-runs of each run share places of their own, as many as the runs have that nobody's script has asked for. A
    run that waits for its sub-run holds a place itself: if both had to share, they could wait for ever.
    """

    def __init__(self, *, taken: Mapping[int | None, int], going: Mapping[str, int]):
        self.taken = Counter(taken)  # by parent
        self.going = Counter(going)  # by runbook
        self.held: set[str] = set()  # runbooks of which one waits: whoever comes later must not overtake it

    def give(self, run: Waiting) -> Lack | None:
        """Give this run its places, or say what it lacks."""
        lack = self.lack(run)
        if lack is None:
            self.taken[run.parent] += 1
            self.going[run.runbook] += 1
        elif lack is Lack.RUNBOOK and run.parent is None:
            self.held.add(run.runbook)
        return lack

    def lack(self, run: Waiting) -> Lack | None:
        # A sub-run overtakes: whoever asked for it may hold the place for which the others wait.
        if self.is_full(run) or (run.parent is None and run.runbook in self.held):
            return Lack.RUNBOOK
        return None if self.has_room(run.parent) else Lack.SERVER

    def is_full(self, run: Waiting) -> bool:
        """Whether as many runs of its runbook go on as this run allows."""
        return bool(run.concurrency) and self.going[run.runbook] >= run.concurrency

    def has_room(self, parent: int | None) -> bool:
        return self.taken[parent] < settings.MAX_CONCURRENT_RUNS


def queued() -> list[Run]:
    """The runs that may begin, in the order in which they came, but sub-runs first."""
    running = list(_running().values_list("parent", "runbook"))
    places = Places(taken=Counter(parent for parent, _ in running), going=Counter(runbook for _, runbook in running))
    may_begin = [run.pk for run in _in_turn(places) if places.give(run) is None]
    found = Run.objects.filter(state=State.QUEUED).in_bulk(may_begin) if may_begin else {}
    return [found[pk] for pk in may_begin if pk in found]


def waits_for(run: Run) -> str:
    """Why a queued run has not begun, as of a moment ago, in a sentence for people; nothing if it is not queued."""
    if run.state != State.QUEUED:
        return ""
    if drain.is_draining():
        return "This server is about to end, and starts no more runs: the next one will."
    if metrics.runner.is_silent:
        return "The runner of this server has not looked for runs lately; the server's log may say why."
    return recent.line().sentence(Waiting(run.pk, run.parent_id, run.runbook, run.concurrency))


class Line:
    """The queue at one moment: what each of its runs lacks, and how many that lack the same come before it."""

    def __init__(self, *, running: Iterable[tuple[int, int | None, str]], waiting: Iterable[Waiting]):
        running = list(running)
        self.going = {runbook: [] for _, _, runbook in running}
        for pk, _, runbook in running:
            self.going[runbook].append(pk)
        taken = Counter(parent for _, parent, _ in running)
        self.places = Places(taken=taken, going=Counter(runbook for _, _, runbook in running))
        self.lengths: Counter[object] = Counter()
        self.stands = {run.pk: self._stand(run, self.places.give(run)) for run in waiting}

    def sentence(self, run: Waiting) -> str:
        """Why it waits; whoever has come since that moment stands at the end."""
        lack, before = self.stands.get(run.pk) or self._stand(run, self.places.lack(run), is_new=True)
        if lack is None:
            return "There is a place for it: it begins as soon as a runner looks."
        if lack is Lack.RUNBOOK:
            return f"{self._of_runbook(run)} {_before(before)}"
        whose = "runs" if run.parent is None else "sub-runs of the same run"
        most = settings.MAX_CONCURRENT_RUNS
        return f"As many {whose} go on as may at once: {most} (MAX_CONCURRENT_RUNS). {_before(before)}"

    def _stand(self, run: Waiting, lack: Lack | None, *, is_new: bool = False) -> tuple[Lack | None, int]:
        of = run.runbook if lack is Lack.RUNBOOK else run.parent
        before = self.lengths[of]
        if lack and not is_new:
            self.lengths[of] += 1
        return lack, before

    def _of_runbook(self, run: Waiting) -> str:
        if not self.places.is_full(run):
            return "Runs of this runbook that came before wait for each other (their concurrency)."
        most, going = run.concurrency, self.going.get(run.runbook, [])
        runs = "run" if most == 1 else "runs"
        return f"Only {most} {runs} of this runbook may go on at once (its concurrency){_going(going)}."


class Recent:
    """The line as it was a moment ago, for all who ask: of 500 open pages, each asks every two seconds."""

    def __init__(self) -> None:
        self.known, self.stale_at = Line(running=(), waiting=()), 0.0
        self.asking = threading.Lock()

    def line(self) -> Line:
        with self.asking:
            began = time.monotonic()
            if began >= self.stale_at:
                self.known = Line(
                    running=_running().values_list("pk", "parent", "runbook"), waiting=[*_sub_runs(), *_others()]
                )
                self.stale_at = time.monotonic() + max(FRESH, PAUSE * (time.monotonic() - began))
            return self.known


recent = Recent()


def _in_turn(places: Places) -> Iterator[Waiting]:
    """The queued runs in the order of their turns, as long as there may be a place for the next."""
    first = _rows(Run.objects.all(), most=BATCH)
    if len(first) < BATCH:  # these are all: one query is enough
        yield from sorted(first, key=lambda run: run.parent is None)
        return
    yield from _sub_runs()
    after = 0
    while places.has_room(None):
        batch = _others(after=after, without=places.held, most=BATCH)
        yield from batch
        if len(batch) < BATCH:
            return
        after = batch[-1].pk


def _sub_runs() -> list[Waiting]:
    # Not exclude(parent=None): SQLite would look for those among all that wait.
    return _rows(Run.objects.filter(parent__gt=0))


def _others(*, after: int = 0, without: Iterable[str] = (), most: int | None = None) -> list[Waiting]:
    return _rows(Run.objects.filter(parent=None, pk__gt=after).exclude(runbook__in=without), most=most)


def _rows(runs: QuerySet[Run], *, most: int | None = None) -> list[Waiting]:
    """Those of these runs that wait, in order of arrival."""
    waiting = runs.filter(state=State.QUEUED).order_by("pk").values_list(*Waiting._fields)
    return [Waiting(*row) for row in waiting[:most]]


def _running() -> QuerySet[Run]:
    return Run.objects.filter(state=State.RUNNING).order_by("pk")


def _going(runs: list[int]) -> str:
    """Which runs they are that go on; none is named that is only about to begin."""
    if not runs:
        return ""
    names = [f"#{pk}" for pk in runs[:NAMED]] + ([f"{len(runs) - NAMED} more"] if len(runs) > NAMED else [])
    listed = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return f", and {listed} {'does' if len(runs) == 1 else 'do'}"


def _before(count: int) -> str:
    if not count:
        return "This one is the next."
    return f"{count} {'run waits' if count == 1 else 'runs wait'} before this one."
