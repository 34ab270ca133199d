"""Which queued runs may begin, and why the others wait."""

from collections.abc import Mapping

from django.conf import settings

from runbooks.models import Run, State


def queued(*, taken: Mapping[int | None, int]) -> list[Run]:
    """The runs that may begin, in the order in which they came; `taken` counts the places by parent.

    The sub-runs of each run share places of their own, as many as the runs have that nobody's script has asked for. A
    run that waits for its sub-run holds a place itself: if both had to share, they could wait for ever.
    """
    most = settings.MAX_CONCURRENT_RUNS
    free = {parent: most - count for parent, count in taken.items()}
    waiting = Run.objects.filter(state=State.QUEUED).order_by("pk")
    may_begin = []
    for pk, parent in waiting.exclude(parent=None).values_list("pk", "parent"):
        if free.setdefault(parent, most) > 0:
            free[parent] -= 1
            may_begin.append(pk)
    room = max(0, free.get(None, most))
    return [*waiting.filter(pk__in=may_begin), *waiting.filter(parent=None)[:room]]
