"""Keeps the disk from filling up with what is over: expired sessions, working folders, and once a day old runs."""

import logging
import threading
import time

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connections
from django.utils import timezone

from runbooks.execution import folder, retention, workspace
from runbooks.models import ACTIVE, Run

DAY, SOON = 24 * 60 * 60.0, 60 * 60.0
BATCH = 500  # of what is in EXECUTION_DIR is asked about at once
MOST_SESSIONS = 10_000  # deleted at once: nobody can write to SQLite meanwhile
logger = logging.getLogger(__name__)


def tidy() -> None:
    """Remove expired sessions and left working folders, and once a day the runs that are past keeping."""
    expired = Session.objects.filter(expire_date__lt=timezone.now())
    Session.objects.filter(pk__in=expired.values("pk")[:MOST_SESSIONS]).delete()
    _remove_left_work()
    daily.begin_if_due()


def _remove_left_work() -> None:
    """Remove the working folders that a server left when it died as their runs ended."""
    left = [work for work in settings.EXECUTION_DIR.glob("*") if work.name.isascii() and work.name.isdigit()]
    for start in range(0, len(left), BATCH):
        numbers = [int(work.name) for work in left[start : start + BATCH]]
        for run in Run.objects.exclude(state__in=ACTIVE).filter(pk__in=numbers).only("pk"):
            # Only what is surely ours: a run of that number began here, and nothing of it lives.
            if (run.folder / "started").exists() and not folder.is_alive(run.folder):
                workspace.remove(run)


class Daily:
    """Prunes once a day as the settings say, in a thread that nobody waits for, not even the end of the process."""

    def __init__(self) -> None:
        self.due = 0.0

    def begin_if_due(self) -> threading.Thread | None:
        is_wanted = settings.RUN_RETENTION_DAYS or settings.RUN_RETENTION_BYTES
        if not is_wanted or time.monotonic() < self.due:
            return None
        self.due = time.monotonic() + DAY
        thread = threading.Thread(target=self._prune, name="prune", daemon=True)
        thread.start()
        return thread

    def _prune(self) -> None:
        try:
            pruned = retention.prune(days=settings.RUN_RETENTION_DAYS, most_bytes=settings.RUN_RETENTION_BYTES)
        except retention.Busy:
            self.due = 0.0  # at the next tidying, then
        except Exception:
            logger.exception("Trouble while runs were pruned")
            self.due = time.monotonic() + SOON
        else:
            logger.info("Pruned: %s runs, %s bytes", pruned.runs, pruned.bytes)
        finally:
            connections.close_all()


daily = Daily()
