"""What those see who look after the server: whether it lives, whether it is ready, and what it counts.

Open to all, so nothing here names an actor, a value or a secret.
"""

import logging
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator

from django.conf import settings
from django.db import Error as DatabaseTrouble
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from runbooks import library
from runbooks.models import Run, State
from runbookweb import drain
from runbookweb import metrics as counted

OK, NO_RUNNER = "ok", "none here"
GONE = "(gone)"  # no runbook's path: those end in .md
logger = logging.getLogger(__name__)


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """Say that the process answers; it asks nothing else, so that a database that is down restarts no server."""
    return HttpResponse("ok", content_type="text/plain; charset=utf-8")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Say whether a run that is asked for here could be recorded, and would begin."""
    checks = {
        "database": _database(),
        "runbooks_dir": library.trouble() or OK,
        "data_dir": _data_dir(),
        "runner": _runner(),
        "server": drain.SENTENCE if drain.is_draining() else OK,
    }
    success = all(said in (OK, NO_RUNNER) for said in checks.values())
    return JsonResponse({"success": success, "checks": checks}, status=200 if success else 503)


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Show what is counted, for Prometheus."""
    return HttpResponse(generate_latest(counted.REGISTRY), content_type=CONTENT_TYPE_PLAIN_0_0_4)


class ObserveMiddleware:
    """Counts the answered requests."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        route = request.resolver_match.view_name if request.resolver_match else "none"
        counted.count_request(method=request.method, route=route, status=response.status_code)
        return response


class Runs(Collector):
    """The runs in the database, counted when they are asked for: that outlives a restart, and is the same everywhere.

    They are gauges, for runs may be deleted, and a counter that falls looks like one that began anew.
    """

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.stale_at = 0.0

    def collect(self) -> Iterator[Metric]:
        began = time.monotonic()
        if began >= self.stale_at:
            try:
                self.counts = _counts()
            except DatabaseTrouble:
                logger.exception("The runs could not be counted")
                return
            # Anybody may ask at any rate: it never takes more than a tenth of a processor.
            self.stale_at = time.monotonic() + 9 * (time.monotonic() - began)
        yield from _gauges(self.counts)


counted.REGISTRY.register(runs := Runs())


def _counts() -> Counter[tuple[str, str]]:
    """How many runs there are of each runbook in each state; those whose runbooks are gone are counted as one."""
    known = {runbook.path for runbook in library.runbooks()}
    counts: Counter[tuple[str, str]] = Counter()
    for path, state, count in Run.objects.order_by().values_list("runbook", "state").annotate(Count("pk")):
        counts[path if path in known else GONE, state] += count
    return counts


def _gauges(counts: Counter[tuple[str, str]]) -> Iterator[Metric]:
    runs = GaugeMetricFamily("runbookweb_runs", "Runs by runbook and state", labels=("runbook", "state"))
    for (runbook, state), count in sorted(counts.items()):
        runs.add_metric((runbook, state), count)
    yield runs
    for state, what in ((State.RUNNING, "go on"), (State.QUEUED, "wait")):
        count = sum(count for (_, found), count in counts.items() if found == state)
        yield GaugeMetricFamily(f"runbookweb_runs_{state.value}", f"Runs that {what}", value=count)


def _database() -> str:
    try:
        Run.objects.exists()
    except DatabaseTrouble as problem:
        # What a database says of itself, such as its address, is not for everybody.
        logger.error("The database does not answer: %s", problem)
        return "The database does not answer; the server's log says why."
    return OK


def _data_dir() -> str:
    try:
        with tempfile.TemporaryFile(dir=settings.DATA_DIR) as file:
            file.write(b"ready?")
    except OSError as problem:
        return f"DATA_DIR cannot be written: {problem.strerror}."
    return OK


def _runner() -> str:
    age = counted.runner.age
    if age is None:
        return NO_RUNNER
    return f"The runner has not looked for runs for {age:.0f} s." if counted.runner.is_silent else OK
