"""The runbook as a run's row has it: what was asked for, whatever the file says today."""

from functools import lru_cache
from pathlib import PurePosixPath

from runbooks.document.parse import parse
from runbooks.document.runbook import Runbook
from runbooks.models import Run


def runbook_of(run: Run) -> Runbook:
    """What this run's source says."""
    return _read(run.source, PurePosixPath(run.runbook).stem)


@lru_cache(maxsize=32)  # a run is started and settled by it, and often the next run of the same runbook is not far
def _read(source: str, name: str) -> Runbook:
    return parse(source.encode(), name=name)
