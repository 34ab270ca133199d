"""Runs within runs: what is around one, what may not be started within it, and what is below it."""

from collections.abc import Iterator, Sequence

from django.conf import settings

from runbooks.library import without_bulk
from runbooks.models import ACTIVE, Run, State

SHOWN = 10  # names of a chain that a sentence shows from either end


class Recursion(Exception):
    """A runbook would run within itself, or too deep in others; str() says which, for people."""


class ParentEnded(Exception):
    """The run whose script asks has ended, or is being ended; str() says which, for people."""


def stack_of(run: Run) -> list[str]:
    """The paths of the runbooks from the outermost run to this one."""
    return [*(ancestor.runbook for ancestor in ancestors(run.parent_id)), run.runbook]


def ancestors(parent: int | None) -> list[Run]:
    """The runs around a sub-run of this parent, the outermost first."""
    found: list[Run] = []
    # One more than is allowed tells that it is too many.
    while parent is not None and len(found) <= settings.MAX_RECURSION_DEPTH:
        run = Run.objects.only("pk", "runbook", "parent_id").filter(pk=parent).first()
        if run is None:
            break
        found.append(run)
        parent = run.parent_id
    return found[::-1]


def check(runbook: str, *, parent: int | None, stack: Sequence[str] = ()) -> None:
    """Raise Recursion if this runbook would run within itself or too deep.

    The stack is what the client says: it may only make things stricter, for a script can say anything.
    """
    around = [run.runbook for run in ancestors(parent)]
    for chain in (around, list(stack)):
        names = [_named(path) for path in chain]
        if _named(runbook) in names:
            raise Recursion(f"A runbook cannot run within itself: {_shown([*chain, runbook])}.")
        if len(chain) > settings.MAX_RECURSION_DEPTH:
            most = settings.MAX_RECURSION_DEPTH
            raise Recursion(f"More than {most} runbooks would be around it (MAX_RECURSION_DEPTH): {_shown(chain)}.")


def lock_parent(parent: int | None) -> None:
    """Let nobody end this run, if it is one, until the transaction ends; raises ParentEnded if somebody has."""
    if parent is None:
        return
    # Before the sub-run is made: a cancel that comes then waits, and finds it.
    run = Run.objects.select_for_update().only("state", "cancelled_at").filter(pk=parent).first()
    if run is None or run.state not in ACTIVE:
        raise ParentEnded("The run whose script asks has ended: it starts no more runs.")
    if run.cancelled_at:
        raise ParentEnded("The run whose script asks is being cancelled: it starts no more runs.")


def descendants(run: Run) -> Iterator[Run]:
    """The runs that wait or go on below this one, to any depth, also where the run between has ended."""
    parents = [run.pk]
    while parents:
        children = list(without_bulk(Run.objects.filter(parent__in=parents)))
        yield from (child for child in children if child.state in ACTIVE)
        parents = [child.pk for child in children if child.state != State.REFUSED]


def _named(path: str) -> str:
    return path.removesuffix(".md")


def _shown(chain: Sequence[str]) -> str:
    names = [str(name)[:200] for name in chain]
    if len(names) > 2 * SHOWN:
        names[SHOWN:-SHOWN] = ["…"]
    return " → ".join(names)
