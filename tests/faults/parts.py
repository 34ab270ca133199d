"""A server without a runner, and a runner, each a process of its own that dies and is started again."""

import itertools
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from tests.processes import Process, free_port, until
from tests.serving import Site

COMMANDS = {"server": ("serve", "--no-runner"), "runner": ("runner",)}


class Parts:
    """Both on one database and the same folders; one may be started several times at once."""

    def __init__(self, site: Site, **environment: str):
        self.data, self.port = site.data, free_port()
        folders = {"DATA_DIR": str(site.data), "RUNBOOKS_DIR": str(site.runbooks), "API_PORT": str(self.port)}
        self.environment = folders | environment
        self.numbers = itertools.count(1)
        self.processes: list[Process] = []

    def start(self, part: str, **environment: str) -> Process:
        """Start one; when it is ready, it says so."""
        out = self.data / f"{part}-{next(self.numbers)}.out"
        process = Process("manage.py", *COMMANDS[part], stdout=out, **self.environment | environment)
        process.port = self.port
        self.processes.append(process)
        return process

    def started(self, part: str, **environment: str) -> Process:
        """One that is ready."""
        process = self.start(part, **environment)
        until(lambda: process.says("ready") or process.process.poll() is not None, seconds=60)
        assert process.process.poll() is None, process.complaints
        return process

    def complaints(self) -> Iterator[str]:
        """What all of them have said on stderr, but for how runs have ended."""
        for file in sorted(self.data.glob("*.stderr")):
            yield from (line for line in file.read_text().splitlines() if '"level": "INFO"' not in line)


def kill(process: Process) -> None:
    """End it in the way that leaves it no time for anything."""
    process.process.send_signal(signal.SIGKILL)
    process.process.wait()
    process.clients.close()


@contextmanager
def parts_of(site: Site, **environment: str) -> Iterator[Parts]:
    parts = Parts(site, **environment)
    try:
        yield parts
    finally:
        for process in parts.processes:
            kill(process)
        print(*parts.complaints(), sep="\n")  # pytest shows it if the test failed
