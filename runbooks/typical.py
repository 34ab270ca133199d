"""How long a runbook's runs usually take."""

from statistics import median

from runbooks.models import Run, State

RECENT = 50
FEWEST = 3  # of fewer, nobody can say what is usual


def typical_seconds(runbook: str) -> float | None:
    """The median duration of its newest runs that succeeded; None if there are too few."""
    succeeded = Run.objects.filter(runbook=runbook, state=State.SUCCEEDED).order_by("-pk")
    times = succeeded.values_list("started_at", "ended_at")[:RECENT]
    seconds = [max(0.0, (ended_at - started_at).total_seconds()) for started_at, ended_at in times if started_at]
    return median(seconds) if len(seconds) >= FEWEST else None
