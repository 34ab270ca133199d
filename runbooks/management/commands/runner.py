"""`manage.py runner`: the runner alone, for servers that were started with `serve --no-runner`."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from runbooks.management.ready import keep_running, runner, unready_database


class Command(BaseCommand):
    help = "Runs what is asked for of `manage.py serve --no-runner`, until it is stopped by a signal; scripts go on."

    def handle(self, **options: Any) -> None:
        if problem := unready_database():
            sys.exit(problem)
        asyncio.run(self._until_stopped(runner()))

    async def _until_stopped(self, run_forever: Callable[[], Awaitable[None]]) -> None:
        running = asyncio.ensure_future(keep_running(run_forever))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, running.cancel)
        self.stdout.write(f"Runbookweb's runner is ready for the runs in {settings.DATA_DIR}")
        self.stdout.flush()
        await asyncio.wait([running])
