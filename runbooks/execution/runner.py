"""The runner: takes queued runs, starts their supervisors, and settles them when they have ended.

The table of runs is its queue and the run folders tell it what goes on, so that a runner that starts anew goes on where
the last one stopped. Messages only say "look again".
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Set
from datetime import timedelta
from functools import partial

from channels.consumer import AsyncConsumer
from channels.layers import get_channel_layer
from channels.routing import ChannelNameRouter
from channels.worker import Worker
from django.utils import timezone

from runbooks.execution import folder, launch, leftovers
from runbooks.execution.control import RUNNER
from runbooks.execution.deadlock import deadlocked
from runbooks.execution.queue import queued
from runbooks.execution.settle import settle
from runbooks.execution.upkeep import tidy
from runbooks.models import Run, State, runs_folder
from runbooks.output.watch import ring, watch
from runbooks.threads import in_runner_thread, in_settling_thread
from runbookweb import database, drain, metrics

SWEEP = 2.0  # seconds after which the runner looks at the table, whether or not it has heard a ring
PULSE = 1.0  # seconds after which it looks whether a supervisor still lives
TIDY = 600.0  # seconds after which it tidies up again
OVERDUE = timedelta(seconds=10)
logger = logging.getLogger(__name__)


class RunnerConsumer(AsyncConsumer):
    """Hears the bell; a worker handles one message at a time, so it does no more than pass it on."""

    def __init__(self, *, runner: "Runner"):
        self.runner = runner

    async def look_again(self, message: dict) -> None:
        self.runner.bell.set()


class Runner:
    """Looks at the table whenever the bell rings, and every few seconds.

    The bell is a message to its channel from the same process, or a touch of the folder of all runs from another.
    """

    def __init__(self) -> None:
        self.bell = asyncio.Event()
        self.tasks: dict[int, asyncio.Task] = {}
        self.is_over = False

    async def run(self) -> None:
        """Take and settle runs until cancelled; scripts go on without a runner."""
        runs_folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        await in_runner_thread(launch.forkserver().start)
        try:
            async with asyncio.TaskGroup() as group:
                for task in (
                    self._look_when_rung(),
                    self._hear_others(),
                    _sweep_now_and_then(),
                    _tidy_now_and_then(),
                ):
                    group.create_task(task)
        finally:
            self.is_over = True
            launch.forkserver().abandon()
            tasks = list(self.tasks.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_when_rung(self) -> None:
        while True:
            self.bell.clear()
            if await _logged(self.look(), "looking for runs"):
                metrics.runner.beat()
            await self.bell.wait()

    async def _hear_others(self) -> None:
        """Ring when another process does, and every SWEEP seconds, for a ring that nobody has heard."""
        bell = watch(runs_folder())
        try:
            while True:
                await bell.wait(SWEEP)
                self.bell.set()
        finally:
            bell.close()

    async def look(self) -> None:
        """One look at the table: take what waits as long as there is room, adopt what runs, pass on requests to end."""
        if not drain.is_draining():  # what waits when this server is about to end is for the next
            taken = partial(asyncio.get_running_loop().call_soon_threadsafe, self._begin)
            await in_runner_thread(take_waiting, taken, known=set(self.tasks))
        for run in await in_runner_thread(running, known=set(self.tasks)):
            self._look_after(run)
            if run.cancelled_at:
                folder.cancel(run)
                leftovers.wake_supervisor(run.folder)

    def _begin(self, run: Run, lock: int) -> None:
        if self.is_over:
            os.close(lock)  # the next runner sees that it has been taken and never began
        else:
            self._look_after(run, lock=lock)

    def _look_after(self, run: Run, *, lock: int | None = None) -> None:
        if run.pk not in self.tasks:
            self.tasks[run.pk] = asyncio.create_task(self._until_let_go(run, lock))

    async def _until_let_go(self, run: Run, lock: int | None) -> None:
        try:
            if await _logged(self._until_settled(run, lock), f"run {run.pk}", run_id=run.pk):
                # There is room for the next. What has failed waits for a sweep, or it would fail without a pause.
                self.bell.set()
        finally:
            del self.tasks[run.pk]

    async def _until_settled(self, run: Run, lock: int | None) -> None:
        ring(run.folder)  # readers that wait for the first line learn that the run has been taken
        _ring_parent(run)
        bell = watch(run.folder)
        try:
            if lock is not None and not await in_runner_thread(start, run, lock):
                return
            while not await in_settling_thread(settle_if_ended, run):
                await bell.wait(PULSE)
        finally:
            bell.close()
            _ring_parent(run)


async def run_forever() -> None:
    """Run a runner, and the Channels worker that hears the bell for it, until cancelled."""
    runner = Runner()
    application = ChannelNameRouter({RUNNER: RunnerConsumer.as_asgi(runner=runner)})
    worker = Worker(application, [RUNNER], get_channel_layer())
    with metrics.runner.expected():
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(worker.handle())
            tasks.create_task(runner.run())


async def _sweep_now_and_then() -> None:
    while True:
        await asyncio.sleep(SWEEP)
        await _logged(in_runner_thread(sweep), "sweeping")


async def _tidy_now_and_then() -> None:
    while True:
        await _logged(in_runner_thread(tidy), "tidying up")
        await asyncio.sleep(TIDY)


def _ring_parent(run: Run) -> None:
    """Tell who watches the parent's page, which shows how its sub-runs stand."""
    if run.parent_id:
        ring(Run(pk=run.parent_id).folder)


def take_waiting(taken: Callable[[Run, int], None], *, known: Set[int]) -> None:
    """Take the queued runs that may begin, and hand over each with its lock."""
    for run in queued():
        # A run of which another server has just let go may still be known here.
        lock = launch.take(run) if run.pk not in known else None
        if lock is not None:
            taken(run, lock)


def sweep() -> None:
    """End the queued runs that can never begin, and leave nothing of the secrets of those that have."""
    for run, reason in deadlocked():
        launch.fail_in_the_queue(run, reason)
    database.forget_deleted()


def running(*, known: Set[int]) -> list[Run]:
    """The runs that go on, without those that are known and that nobody wants to end."""
    going = Run.objects.filter(state=State.RUNNING)
    rows = going.values_list("pk", "cancelled_at")
    wanted = [pk for pk, cancelled_at in rows if cancelled_at or pk not in known]
    return list(going.filter(pk__in=wanted).defer("source")) if wanted else []


def start(run: Run, lock: int) -> int | None:
    """Start a taken run, or settle it if that is not possible; the lock is held until either is done."""
    try:
        return launch.start(run, lock)
    except launch.NotStarted as problem:
        settle(run, problem.result)
        return None
    finally:
        os.close(lock)


def is_overdue(run: Run) -> bool:
    """Whether its supervisor should have ended it by now, and has not."""
    return timezone.now() - run.started_at > timedelta(seconds=run.timeout + launch.GRACE) + OVERDUE


def settle_if_ended(run: Run) -> bool:
    """Settle a run whose script has ended; True means that this runner need not look after it any more."""
    if not folder.exists(run.folder):
        settle(run, None)  # somebody has deleted it: nobody will ever know
        return True
    has_started = folder.has_started(run.folder)
    if has_started and run.sealed_values:
        run.move(State.RUNNING, sealed_values=None)  # not before: without them it could not be started again
    # In this order: a supervisor writes the result before it lets go of the lock.
    is_alive = folder.is_alive(run.folder)
    result = folder.read_result(run.folder)
    if is_alive and not result:
        if is_overdue(run):
            leftovers.wake_supervisor(run.folder)
        return False
    if result or has_started or folder.has_started(run.folder):
        settle(run, result)
        return True
    return _begin_again(run)


def _begin_again(run: Run) -> bool:
    """Queue a run anew whose script never began: the runner or the supervisor died just before.

    Under its lock: another server may have come to the same conclusion, and have started it meanwhile.
    """
    try:
        lock = folder.lock(run.folder)
    except BlockingIOError:
        return False
    try:
        if folder.has_started(run.folder):
            return False
        complaint = folder.complaint(run.folder)
        run.refresh_from_db(fields=["cancelled_at", "cancelled_by"])
        if run.cancelled_at:
            settle(run, launch.NotStarted("cancelled", State.CANCELLED).result)
        elif complaint:
            reason = launch.NotStarted(f"the supervisor failed: {complaint}")
            launch.tell_why(run, reason)
            settle(run, reason.result)
        else:
            run.move(State.RUNNING, state=State.QUEUED, started_at=None)
    finally:
        os.close(lock)
    return True


async def _logged(work: Awaitable[None], what: str, **extra: object) -> bool:
    """Whether it went well; one run that cannot be handled must not stop all the others, and is looked at again."""
    try:
        await work
    except Exception:
        logger.exception("Trouble while %s", what, extra=extra)
        return False
    return True
