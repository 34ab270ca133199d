"""The server that is measured, on folders of its own, and what the kernel knows of its processes."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runbookweb.env import VARIABLES
from tests.processes import Process, free_port

RUNBOOKS = Path(__file__).with_name("runbooks")
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Site:
    """A server, and the folder of everything that it keeps."""

    folder: Path
    port: int
    pid: int

    def cpu(self) -> float:
        """The seconds of processor time that the server has taken so far."""
        user, system = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / TICK

    def memory(self) -> int:
        """The bytes of memory that the server holds."""
        return os.sysconf("SC_PAGE_SIZE") * int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Site]:
    """A server with the runbooks of the measures, until the end of this block; nothing of it is left then."""
    # A copy: each run adds to its runbook's History.
    shutil.copytree(RUNBOOKS, folder / "runbooks")
    own = {
        "DATA_DIR": str(folder / "data"),
        "RUNBOOKS_DIR": str(folder / "runbooks"),
        "API_PORT": str(free_port()),
        "LOGGING_LEVEL": "WARNING",
        "MAX_CONCURRENT_RUNS": "200",
        "MAX_OUTPUT_SIZE_BYTES": "2000000000",
        "SCRIPT_TIMEOUT_SECONDS": "300",
    }
    # Whatever the caller has set for a server of theirs would be measured otherwise.
    unset = {variable.name: "" for variable in VARIABLES}
    server = Process("manage.py", "serve", "--migrate", stdout=folder / "out", **unset | own)
    try:
        if not server.will_say("is ready"):
            raise RuntimeError(f"The server did not start: {server.complaints}")
        yield Site(folder, int(own["API_PORT"]), server.process.pid)
    finally:
        try:
            server.stop()
        except subprocess.TimeoutExpired:
            server.process.kill()


def private_memory(pid: int) -> int | None:
    """The bytes that are in memory for this process alone; None if we may not know, or if it has gone."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return None  # a supervisor tells nobody but root
    return 1024 * sum(int(line.split()[1]) for line in rollup if line.startswith(("Private_Clean", "Private_Dirty")))
