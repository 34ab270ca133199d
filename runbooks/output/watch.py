"""Waiting for a change in a run's folder: inotify where there is one, else a look every 50 ms."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

if sys.platform == "linux":
    import inotify_simple
else:
    inotify_simple = None

POLL = 0.05
Heard = Callable[[], None]


class Watch:
    """Calls `heard` and wakes its one waiter when something happens in a folder."""

    def __init__(self, folder: Path, *, wants_log: bool, heard: Heard):
        self.folder = folder
        self.wants_log = wants_log
        self.heard = heard
        self.rung = asyncio.Event()
        self.has_news = False

    async def wait(self, timeout: float) -> bool:
        """Wait for a change; True means that more than the log has changed, or may have without our being told."""
        try:
            async with asyncio.timeout(timeout):
                await self.rung.wait()
        except TimeoutError:
            return True
        self.rung.clear()
        has_news, self.has_news = self.has_news, False
        return has_news

    def ring(self, *, has_news: bool) -> None:
        self.heard()
        if has_news or self.wants_log:
            self.has_news |= has_news
            self.rung.set()

    def close(self) -> None:
        inotify = Inotify.of_this_loop()
        if inotify:
            inotify.forget(self)


class Poll(Watch):
    """Looks at the log's size, where there is no inotify or no more of it to be had."""

    def __init__(self, folder: Path, *, wants_log: bool, heard: Heard):
        super().__init__(folder, wants_log=wants_log, heard=heard)
        self.waited = 0.0

    async def wait(self, timeout: float) -> bool:
        await asyncio.sleep(min(POLL, timeout))
        self.heard()
        self.waited += POLL
        if self.waited >= min(timeout, 1.0):
            self.waited = 0.0
            return True
        return False

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

    def watch(self, folder: Path, *, wants_log: bool, heard: Heard) -> Watch:
        """Raises OSError: no such folder, or no more watches to be had."""
        flags = self.flags
        mask = flags.MODIFY | flags.MOVED_TO | flags.ATTRIB | flags.DELETE_SELF | flags.ONLYDIR
        number = self.inotify.add_watch(folder, mask)
        watch = Watch(folder, wants_log=wants_log, heard=heard)
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
                if event.mask == self.flags.MODIFY and event.name != "log":
                    continue
                if event.mask & self.flags.ATTRIB and event.name:  # a ring for whoever watches a folder in this one
                    continue
                # A full queue (wd -1) has dropped events: then everybody looks.
                for watch in self.watches.get(event.wd, ()) if event.wd >= 0 else self._all():
                    # What the supervisor has written beside the log is for the runner: the run's row has not changed.
                    if not (watch.wants_log and event.mask & self.flags.MOVED_TO):
                        watch.ring(has_news=event.mask != self.flags.MODIFY)

    def _all(self) -> list[Watch]:
        return [watch for watches in self.watches.values() for watch in watches]


def watch(folder: Path, *, wants_log: bool = True, heard: Heard = lambda: None) -> Watch:
    """Begin to watch a folder, from now on and until close(); without its log, for everything but the log's growth.

    Whatever it is, `heard` is called at once; with a look every 50 ms, as long as there is a waiter.
    """
    inotify = Inotify.of_this_loop()
    if inotify:
        with contextlib.suppress(OSError):
            return inotify.watch(folder, wants_log=wants_log, heard=heard)
    return Poll(folder, wants_log=wants_log, heard=heard)


def ring(folder: Path) -> None:
    """Tell everybody who watches the folder to look again."""
    with contextlib.suppress(OSError):
        os.utime(folder)
