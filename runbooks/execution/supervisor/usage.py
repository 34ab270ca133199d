"""What a script uses of the machine, looked at now and then: its memory, its processes, its working folder."""

import os

from runbooks.execution.supervisor.files import first_line
from runbooks.execution.supervisor.processes import descendants, thread

ENTRIES_AT_ONCE = 500  # of the working folder are looked at before anybody else has a turn
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class TooMuch(Exception):
    """The script uses more than it may, or nothing can be known of it any more; str() says what."""


class Limits:
    """The limits of a specification, compared with what is used a little at a time."""

    def __init__(self, specification, warn):
        self.memory, self.disk = specification["memory"], specification["disk"]
        # Of a user of their own, the kernel counts them itself.
        self.processes = 0 if specification["user"] else specification["processes"]
        self.folder, self.warn = specification["folder"], warn
        self.walk = None  # through the working folder, while it goes on

    def look(self):
        """Look on; True means that this was a whole look, False that there is more of it to come. Raises TooMuch."""
        if not self.walk:
            self._look_at_processes()
            self.walk = Walk(self.folder).steps() if self.disk else iter(())
        used = next(self.walk, None)
        if used is None:
            self.walk = None
            return True
        if used > self.disk:
            limit = (used, self.disk)
            raise TooMuch("its working folder holds %d bytes, more than SCRIPT_MAX_DISK allows (%d bytes)" % limit)
        return False

    def _look_at_processes(self):
        alive = descendants() if self.memory or self.processes else []
        if len(alive) > self.processes > 0:
            self.warn("this run has %d processes, more than SCRIPT_MAX_PROCESSES (%d)" % (len(alive), self.processes))
            self.processes = 0  # once is enough
        # What is resident counts shared pages again and again, but costs less to know than each one's share.
        if self.memory and resident(alive) > self.memory and (used := share_of_memory(alive)) > self.memory:
            limit = (used, self.memory)
            raise TooMuch("its processes use %d bytes of memory, more than SCRIPT_MAX_MEMORY allows (%d bytes)" % limit)


def resident(pids):
    """The bytes of memory that these processes have, where what they share is counted for each."""
    pages = sum([int(first_line("/proc/%s/statm" % thread(pid), "0 0").split()[1]) for pid in pids])
    return pages * os.sysconf("SC_PAGE_SIZE")


def share_of_memory(pids):
    """The bytes of memory that these processes have, where each has its share of what it shares."""
    total = 0
    for pid in pids:
        try:
            with open("/proc/%s/smaps_rollup" % thread(pid)) as file:
                total += sum([int(line.split()[1]) for line in file if line.startswith("Pss:")])
        except OSError:
            total += resident([pid]) // 1024  # it has ended, or is somebody else's
    return total * 1024


class Walk:
    """Walks through a folder to find out what it takes on the disk, a piece at a time, for others to have a turn.

    By one descriptor, and up again by `..`: too long a path, or a link put in its way, would hide what is there.
    """

    def __init__(self, folder):
        self.folder = folder
        self.total = self.seen = 0
        self.above, self.waiting, self.met = [], [], set()

    def steps(self):
        """How many bytes have been found, again and again, for the last time at the end."""
        self.here = None
        try:
            self.here = os.open(self.folder, FOLDER)
            goes_on = True
            while goes_on:
                yield from self._look()
                goes_on = self._go_on()
        except OSError:
            pass  # it has been moved away: what was found so far will do
        finally:
            if self.here is not None:
                os.close(self.here)
        yield self.total

    def _look(self):
        self.waiting.append([])
        with os.scandir(self.here) as entries:
            for entry in entries:
                self.seen += 1
                if self.seen % ENTRIES_AT_ONCE == 0:
                    yield self.total
                try:
                    info = entry.stat(follow_symlinks=False)
                except OSError:
                    continue  # it has just gone
                is_folder = entry.is_dir(follow_symlinks=False)
                if is_folder or info.st_nlink < 2 or self._is_new(info):
                    self.total += info.st_blocks * 512
                if is_folder:
                    self.waiting[-1].append(entry.name)

    def _is_new(self, info):
        """Whether this file has not been met yet under another of its names."""
        known = len(self.met)
        self.met.add((info.st_dev, info.st_ino))
        return len(self.met) > known

    def _go_on(self):
        """Go to the next folder, below or further up; False at the end."""
        while self.waiting:
            if self.waiting[-1]:
                name = self.waiting[-1].pop()
                try:
                    below = os.open(name, FOLDER, dir_fd=self.here)
                except OSError:
                    continue  # it has just gone, or is closed to us
                self.above.append(os.fstat(self.here))
                os.close(self.here)
                self.here = below
                return True
            self.waiting.pop()
            if self.above:
                parent = os.open("..", FOLDER, dir_fd=self.here)
                os.close(self.here)
                self.here = parent
                if not os.path.samestat(self.above.pop(), os.fstat(parent)):
                    return False  # the script has moved it: what is here may be anything
        return False
