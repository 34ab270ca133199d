"""The server under test as a process of its own, on folders that outlive it."""

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.conftest import runbook_source
from tests.processes import ROOT, free_port

PREFIX = 37  # of each entry in a run's log: time, stream, tag


class Server:
    """`manage.py serve` with a temporary library and data folder; it can die and be started again on both."""

    def __init__(self, folder: Path):
        self.folder, self.runbooks, self.data = folder, folder / "runbooks", folder / "data"
        self.log = folder / "server.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen | None = None

    def add(self, path: str, **contents: object) -> None:
        """Put a sound runbook into its library, but for what the test wants otherwise."""
        file = self.runbooks / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(runbook_source(name=file.stem, **contents))

    def start(self) -> None:
        """Start it, and come back when it says that it is ready."""
        said_before = self.log.stat().st_size if self.log.exists() else 0
        self._manage("migrate", "--verbosity", "0").wait(60)
        self.process = self._manage("serve")
        deadline = time.monotonic() + 60
        while b"is ready" not in self.log.read_bytes()[said_before:]:
            assert self.process.poll() is None, f"the server did not start:\n{self.log.read_text()}"
            assert time.monotonic() < deadline, f"the server is not ready after a minute:\n{self.log.read_text()}"
            time.sleep(0.02)

    def kill(self) -> None:
        """End it in the way that leaves it no time for anything."""
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    def peak_memory(self) -> int:
        """The most bytes of memory that the server has held so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])

    def descriptors(self) -> int:
        """How many files and sockets the server has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def printed(self, run: int) -> bytes:
        """What the script of this run wrote to stdout, as the run's log has it."""
        entries = (self.data / "runs" / str(run) / "log").read_bytes().split(b"\n")[:-1]
        return b"".join(
            entry[PREFIX:] + (b"\n" if entry[:PREFIX].endswith(b" F ") else b"")
            for entry in entries
            if b" stdout " in entry[:PREFIX]
        )

    def _manage(self, *command: str) -> subprocess.Popen:
        folders = {"DATA_DIR": str(self.data), "RUNBOOKS_DIR": str(self.runbooks), "API_PORT": str(self.port)}
        environment = {**os.environ, **folders, "MAX_OUTPUT_SIZE_BYTES": "50000000", "PYTHONUNBUFFERED": "1"}
        with self.log.open("ab") as log:
            command = (sys.executable, "manage.py", *command)
            return subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
