"""Waiting for a change in a run's folder: inotify where there is one, else a look every 50 ms."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

if sys.platform == "linux":
    import inotify_simple
else:
    inotify_simple = None

POLL = 0.05
Heard = Callable[[], None]


class Watch:
    """Wakes its one waiter when a folder has news; calls `heard`, if there is one, for those and when its log grows."""

    def __init__(self, heard: Heard | None):
        self.heard = heard
        self.rung = asyncio.Event()

    async def wait(self, timeout: float) -> None:
        """Wait for news, which may have come since the last time, or until the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self.rung.wait()
        self.rung.clear()

    def close(self) -> None:
        inotify = Inotify.of_this_loop()
        if inotify:
            inotify.forget(self)


class Poll(Watch):
    """Takes it that there are news every second, and that the log grows all the time."""

    async def wait(self, timeout: float) -> None:
        until = time.monotonic() + min(timeout, 1.0)
        while time.monotonic() < until:
            await asyncio.sleep(POLL)
            if self.heard:
                self.heard()

    def close(self) -> None:
        pass


class Inotify:
    """One inotify instance for all watches of an event loop: a system allows a user only some 128 of them."""

    loops: dict[asyncio.AbstractEventLoop, "Inotify | None"] = {}

    def __init__(self) -> None:
        self.inotify = inotify_simple.INotify(nonblocking=True)
        self.flags = inotify_simple.flags
        self.watches: dict[int, set[Watch]] = {}
        self.loop = asyncio.get_running_loop()
        self.loop.add_reader(self.inotify.fileno(), self._read)

    @classmethod
    def of_this_loop(cls) -> "Inotify | None":
        loop = asyncio.get_running_loop()
        if loop not in cls.loops:
            for closed in [other for other in cls.loops if other.is_closed()]:
                instance = cls.loops.pop(closed)
                if instance:
                    instance.inotify.close()
            try:
                cls.loops[loop] = cls() if inotify_simple else None
            except OSError:
                cls.loops[loop] = None
        return cls.loops[loop]

    def watch(self, folder: Path, *, heard: Heard | None) -> Watch:
        """Raises OSError: no such folder, or no more watches to be had."""
        flags = self.flags
        mask = flags.MODIFY | flags.MOVED_TO | flags.ATTRIB | flags.DELETE_SELF | flags.ONLYDIR
        number = self.inotify.add_watch(folder, mask)
        watch = Watch(heard)
        self.watches.setdefault(number, set()).add(watch)
        return watch

    def forget(self, watch: Watch) -> None:
        for number, watches in self.watches.items():
            if watch in watches:
                watches.remove(watch)
                if not watches:
                    del self.watches[number]
                    with contextlib.suppress(OSError):  # the folder is gone, and its watch with it
                        self.inotify.rm_watch(number)
                return

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            data = os.read(self.inotify.fileno(), 65536)
            for event in inotify_simple.parse_events(data):
                # A full queue (wd -1) has dropped events: then everybody looks.
                for watch in tuple(self.watches.get(event.wd, ())) if event.wd >= 0 else self._all():
                    self._tell(watch, event)

    def _tell(self, watch: Watch, event: "inotify_simple.Event") -> None:
        if event.mask & self.flags.MODIFY:
            if event.name == "log" and watch.heard:
                watch.heard()
        elif event.mask & self.flags.MOVED_TO:
            # What the supervisor has written beside the log is for the runner: the run's row has not changed.
            if not watch.heard:
                watch.rung.set()
        elif not event.name:  # or it is a ring for whoever watches a folder in this one
            if watch.heard:
                watch.heard()
            watch.rung.set()

    def _all(self) -> list[Watch]:
        return [watch for watches in self.watches.values() for watch in watches]


def watch(folder: Path, *, heard: Heard | None = None) -> Watch:
    """Begin to watch a folder, from now on and until close().

    News are a ring, the folder's end, and, for who does not listen to its log, what its supervisor has to say. `heard`
    is called at once; where there is no inotify, every 50 ms, as long as somebody waits.
    """
    inotify = Inotify.of_this_loop()
    if inotify:
        with contextlib.suppress(OSError):
            return inotify.watch(folder, heard=heard)
    return Poll(heard)


def ring(folder: Path) -> None:
    """Tell everybody who watches the folder to look again."""
    with contextlib.suppress(OSError):
        os.utime(folder)
