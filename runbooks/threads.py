"""The threads in which consumers and the runner use the database and the disk."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import connections

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """A few threads; calling it calls a function in one of them.

    Each thread keeps its connection to the database: to open and close one takes longer than most of what is asked.
    (database_sync_to_async would do that for each call, and make all streams wait for one thread.)
    """

    def __init__(self, name: str, *, most: int):
        self.pool = ThreadPoolExecutor(max_workers=most, thread_name_prefix=name)

    async def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        # With the context, log lines in the thread have the correlation id of the request that they serve.
        call = partial(copy_context().run, _call, partial(function, *args, **kwargs))
        return await asyncio.get_running_loop().run_in_executor(self.pool, call)


# Apart, for what writes may wait for the database, settling for a lock, and the runner for a great many files that it
# copies: nobody else should wait for that.
in_thread = Threads("streams", most=4)
in_writing_thread = Threads("writing", most=4)
in_runner_thread = Threads("runner", most=8)
in_settling_thread = Threads("settling", most=4)


def _call(function: Callable[[], T]) -> T:
    try:
        return function()
    finally:
        for connection in connections.all(initialized_only=True):
            connection.close_at = None  # CONN_MAX_AGE is for the threads of requests, which end with them
            connection.close_if_unusable_or_obsolete()
