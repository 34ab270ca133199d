"""The threads in which consumers and the runner use the database and the disk."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import connections

P = ParamSpec("P")
T = TypeVar("T")

POOL = ThreadPoolExecutor(max_workers=4, thread_name_prefix="runbooks")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function that may block.

    Each thread keeps its connection to the database: to open and close one takes longer than most of what is asked.
    (database_sync_to_async would do that for each call, and make all streams wait for one thread.)
    """
    return await asyncio.get_running_loop().run_in_executor(POOL, partial(_call, partial(function, *args, **kwargs)))


def _call(function: Callable[[], T]) -> T:
    try:
        return function()
    finally:
        for connection in connections.all(initialized_only=True):
            connection.close_at = None  # CONN_MAX_AGE is for the threads of requests, which end with them
            connection.close_if_unusable_or_obsolete()
