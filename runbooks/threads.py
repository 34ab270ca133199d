"""The threads in which consumers and the runner use the database and the disk."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from channels.db import database_sync_to_async

P = ParamSpec("P")
T = TypeVar("T")

POOL = ThreadPoolExecutor(max_workers=4, thread_name_prefix="runbooks")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function that may block; database_sync_to_async's own single thread would make all streams wait for it."""
    call = database_sync_to_async(partial(function, *args, **kwargs), thread_sensitive=False, executor=POOL)
    return await call()
