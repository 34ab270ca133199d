"""Starts real supervisors on small scripts, as launch.py does but without a database, and waits for what they do."""

import fcntl
import marshal
import os
import select
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from runbooks.execution import launch
from runbooks.execution.folder import Result, read_result
from runbooks.output.entries import Entry, parse

T = TypeVar("T")
PATIENCE = 30  # seconds; generous, for a noisy machine
MARK = "TEST_MARK"  # the environment variable by which all processes of a run are found again
INTERPRETERS = {"sh": ["/bin/sh"], "python": [launch.PYTHON, "-I", "-S", "-u"], "missing": ["/no/such"]}


def until(condition: Callable[[], T], *, patience: float = PATIENCE) -> T:
    """Wait until the condition holds, and return what it says."""
    deadline = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < deadline, f"in vain for {patience} s"
        time.sleep(0.01)
    return found


@dataclass(frozen=True)
class Supervised:
    """A script under a supervisor."""

    folder: Path
    process: subprocess.Popen
    mark: str

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def entries(self, stream: str = "") -> list[Entry]:
        data = (self.folder / "log").read_bytes()
        return [entry for entry in parse(data[: data.rfind(b"\n") + 1]) if stream in ("", entry.stream)]

    def printed(self, stream: str = "stdout") -> bytes:
        return joined(self.entries(stream))

    def notes(self) -> list[str]:
        return [entry.content.decode() for entry in self.entries("stderr") if is_note(entry)]

    def has_printed(self, text: bytes) -> "Supervised":
        until(lambda: text in self.printed())
        return self

    def tell(self, request: bytes) -> None:
        """Write into the FIFO that ends the run."""
        control = os.open(self.folder / "control", os.O_WRONLY | os.O_NONBLOCK)
        os.write(control, request)
        os.close(control)

    def processes(self) -> list[int]:
        """Those of the script, wherever they have gone."""
        return processes_with(self.mark)

    def commands(self) -> list[str]:
        """Their command lines, sorted."""
        found = []
        for pid in self.processes():
            with suppress(OSError):
                found.append(Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip())
        return sorted(found)

    def ended(self) -> Result:
        until(lambda: self.process.poll() is not None)
        assert (self.folder / "supervisor.err").read_text() == ""
        result = read_result(self.folder)
        assert result
        return result

    def clean_up(self) -> None:
        self.process.kill()
        self.process.wait()
        until(lambda: not [kill(pid) for pid in self.processes()])


def start(
    folder: Path,
    script: str | bytes,
    *,
    language: str = "sh",
    environment: Mapping[str, str] = {},
    timeout: float = 60,
    grace: float = 5,
    limit: int = 64 * 1024 * 1024,
    secrets: Iterable[bytes] = (),
    supervisor: Sequence[str] = (launch.PYTHON, "-I", "-S", str(launch.SUPERVISOR)),
    session: bool = True,
    memory: int = 0,
    disk: int = 0,
    processes: int = 0,
    user: tuple[int, int, tuple[int, ...]] | None = None,
) -> Supervised:
    """Start a script in an own folder; the supervisor holds the folder's lock from its first moment."""
    (folder / "work").mkdir(parents=True, exist_ok=True)
    mark = uuid.uuid4().hex
    (folder / "log").touch()
    (folder / "script").write_bytes(script if isinstance(script, bytes) else script.encode())
    specification = {
        "argv": [*INTERPRETERS[language], str(folder / "script")],
        "environment": {"PATH": os.environ["PATH"], MARK: mark, **environment},
        "folder": str(folder / "work"),
        "timeout": timeout,
        "grace": grace,
        "limit": limit,
        "secrets": sorted(secrets),
        "memory": memory,
        "disk": disk,
        "processes": processes,
        "user": user,
        "outputs": (),
    }
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        with (folder / "supervisor.err").open("wb") as complaints:
            process = subprocess.Popen(
                [*supervisor, str(folder), str(lock)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=complaints,
                env={},
                cwd="/",
                pass_fds=(lock,),
                start_new_session=session,
            )
        with process.stdin as pipe:
            pipe.write(marshal.dumps(specification))
    finally:
        os.close(lock)
    return Supervised(folder, process, mark)


def joined(entries: Iterable[Entry]) -> bytes:
    """What the script printed, byte for byte."""
    return b"".join(entry.content if entry.is_part else entry.content + b"\n" for entry in entries)


def is_note(entry: Entry) -> bool:
    return entry.content.startswith(b"[runbook] ")


def seconds(entry: Entry) -> float:
    """When the entry was written, on the clock that the script reads too."""
    return datetime.fromisoformat(entry.time.replace("Z", "+00:00")).timestamp()


def processes_with(mark: str) -> list[int]:
    """The living processes whose environment has this mark; a zombie has none."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdecimal() and f"{MARK}={mark}".encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found


def supervisors_in(folder: Path) -> list[int]:
    """The living supervisors of runs below this folder, by the files that they have open, and those about to begin."""
    named = [
        entry for entry in Path("/proc").iterdir() if entry.name.isdecimal() and _name(entry).startswith("runbook-")
    ]
    found = [int(entry.name) for entry in named if any(name.startswith(f"{folder}/") for name in _opened(entry))]
    return found + [pid for pid in _forks() if not _name(Path(f"/proc/{pid}")).startswith("runbook-")]


def _name(process: Path) -> str:
    with suppress(OSError):
        return (process / "comm").read_text()
    return ""


def _opened(process: Path) -> Iterator[str]:
    with suppress(OSError):
        for file in (process / "fd").iterdir():
            with suppress(OSError):
                yield str(file.readlink())


def _forks() -> list[int]:
    server = launch.forkserver().process
    with suppress(OSError, AttributeError):
        return [int(pid) for pid in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()]
    return []


@dataclass(frozen=True)
class Process:
    """A process that is not a child of ours."""

    pid: int

    def is_alive(self) -> bool:
        with suppress(ProcessLookupError):
            os.kill(self.pid, 0)
            return True
        return False

    def wait(self, patience: float = PATIENCE) -> None:
        """Wait until it has ended."""
        with suppress(ProcessLookupError):
            descriptor = os.pidfd_open(self.pid)
            with os.fdopen(descriptor, closefd=True):
                assert select.select([descriptor], [], [], patience)[0], f"process {self.pid} lives after {patience} s"


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def status(pid: int, name: str) -> str:
    """A line of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:"))
