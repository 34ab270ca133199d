"""Tells how runs ended, in the log and in the metrics: each is one line, wherever it came to its end."""

import contextlib
import logging

from runbooks.models import Run, State
from runbookweb import metrics

logger = logging.getLogger("runbooks.runs")


def tell(run: Run) -> None:
    """Tell of a run that has ended; to be called by whoever made that move, and nobody else."""
    seconds = round(run.seconds or 0, 3)
    names = ("runbook", "actor", "state", "return_code", "correlation_id")
    facts = {"run_id": run.pk, "seconds": seconds, "ended_at": run.ended_at.isoformat()}
    facts |= {name: getattr(run, name) for name in names}
    logger.info("%s: %s after %s s", run, State(run.state).label, seconds, extra=facts)
    metrics.RUN_SECONDS.labels(run.state).observe(seconds)
    with contextlib.suppress(OSError):  # somebody has deleted its folder, or it never had one
        metrics.LOGGED_BYTES.inc(run.log.stat().st_size)
