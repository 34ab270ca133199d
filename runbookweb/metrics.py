"""What this process counts of itself; the parts of the program add to it, and runbooks.web.observe shows it.

No label may hold what a client sends: each new value is a new time series for ever.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics

MINUTE, HOUR = 60, 60 * 60
SILENCE = 10.0  # seconds after which a runner that has not looked at the table counts as dead
METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})

disable_created_metrics()
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

RUN_SECONDS = Histogram(
    "runbookweb_run_duration_seconds",
    "How long the runs took that this process has settled, by state",
    ("state",),
    buckets=(0.1, 0.5, 1, 5, 15, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 4 * HOUR, 24 * HOUR),
    registry=REGISTRY,
)
LOGGED_BYTES = Counter(
    "runbookweb_logged_bytes", "The sizes of the logs of the runs that this process has settled", registry=REGISTRY
)
READERS = Gauge("runbookweb_readers", "Streams that are open in this process", registry=REGISTRY)
HTTP_REQUESTS = Counter(
    "runbookweb_http_requests",
    "Answered requests by method, name of the route and status",
    ("method", "route", "status"),
    registry=REGISTRY,
)


def count_request(*, method: str | None, route: str, status: int) -> None:
    HTTP_REQUESTS.labels(method if method in METHODS else "other", route, str(status)).inc()


class Heartbeat:
    """When this process's runner last looked at the table; it never does where there is no runner."""

    def __init__(self) -> None:
        self.at: float | None = None

    @property
    def age(self) -> float | None:
        """Seconds since the last beat; None if no runner has begun here."""
        return None if self.at is None else time.monotonic() - self.at

    @property
    def is_silent(self) -> bool:
        return (self.age or 0.0) > SILENCE

    @contextlib.contextmanager
    def expected(self) -> Iterator[None]:
        """Expect beats while this goes on, and after it has failed: to begin again is no beat. Cancelled, no more."""
        if self.at is None:
            self.at = time.monotonic()
        try:
            yield
        except asyncio.CancelledError:
            self.at = None
            raise

    def beat(self) -> None:
        if self.at is not None:
            self.at = time.monotonic()


runner = Heartbeat()
