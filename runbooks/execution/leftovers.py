"""Ends what is left of a script whose supervisor was killed: the processes of the session that the script led.

A process id says little, for it is used again. What makes sure that nothing of somebody else's is ended: the supervisor
wrote down when the script's main process began, and in which life of the machine; no process gets a number that a
session still has; and a descriptor of a process (pidfd) never comes to mean another one. Linux only, as those are.
"""

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from runbooks.models import Run
from runbooks.output.entries import open_regular

MOMENT = 0.5  # seconds that the main process has to die with its supervisor, by itself
PATIENCE = 5.0  # seconds after which processes that survive SIGKILL are left to the system
LOOKS = 20
LONGEST = 1024  # bytes of FOLDER/started
PROC = Path("/proc")


class LeftAlone(Exception):
    """Processes that may be of the run still go on: nothing proves whose they are, or they survive SIGKILL."""

    def __init__(self, pids: Iterable[int], *, ended: int):
        super().__init__(", ".join(map(str, sorted(pids))))
        self.ended = ended


@dataclass(frozen=True)
class Process:
    """A process as /proc shows it; its start counts in ticks since the machine began."""

    pid: int
    is_zombie: bool
    session: int
    start: int


@dataclass(frozen=True)
class Script:
    """A script's main process, as its supervisor wrote it down: its id is the number of the session, too."""

    pid: int
    start: int
    boot: str


def end_leftovers(folder: Path, *, run: int) -> int:
    """End what still runs of a run whose supervisor is dead, and say how many processes that were.

    Only the script's session is looked at: what left it by setsid, on purpose, goes on. Raises LeftAlone.
    """
    script = script_of(folder)
    if script is None or script.boot != boot_id():
        return 0
    _wait_for_the_main_process(script)
    ended: set[int] = set()
    unproven: set[int] = set()
    deadline = time.monotonic() + PATIENCE
    # A process may just have started another one: look again until none is left.
    while pids := _session(script.pid):
        if time.monotonic() > deadline or unproven.intersection(pids):
            raise LeftAlone(pids, ended=len(ended.difference(pids)))
        with _held(pids, session=script.pid) as held:
            # After they are held: if the session is ours now, it has been all the time, and they are of it.
            is_ours = _is_ours(script, held, run=run)
            if is_ours is False:
                break
            if is_ours:
                ended.update(_kill(held, group=script.pid))
                _wait(held.values(), seconds=deadline - time.monotonic())
            else:
                unproven.update(held)  # or it is just ending: then the next look finds another, or none
    return len(ended)


def wake_supervisor(folder: Path) -> None:
    """Let a supervisor go on that its script has stopped, as one of the same user can; any other takes no notice."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        found = _written(folder)
        process = process_of(int(found["supervisor"]))
        if process and process.start == int(found["supervisor_start"]) and found["boot"] == boot_id():
            os.kill(process.pid, signal.SIGCONT)


def _written(folder: Path) -> dict[str, str]:
    with os.fdopen(open_regular(folder / "started"), "rb") as file:
        return dict(line.partition(" ")[::2] for line in file.read(LONGEST).decode().splitlines())


def script_of(folder: Path) -> Script | None:
    """The script's main process, if its supervisor came to write it down."""
    try:
        found = _written(folder)
        script = Script(int(found["pid"]), int(found["start"]), found["boot"])
    except (OSError, ValueError, KeyError):
        return None
    return script if script.pid > 1 and script.boot else None  # only Linux names its lives


def boot_id() -> str:
    """What names this life of the machine: the next one uses all numbers again."""
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"


def process_of(pid: int) -> Process | None:
    """The process that has this number now."""
    try:
        # Its name comes first, in which anything may stand. Other threads than the first may go on without that.
        fields = (PROC / f"{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return Process(pid, fields[0] in (b"Z", b"X") and int(fields[17]) < 2, int(fields[3]), int(fields[19]))
    except (OSError, IndexError):
        return None  # it has just ended


def _wait_for_the_main_process(script: Script) -> None:
    """It dies with its supervisor, but a moment after that has let go of the lock; then it was not left behind."""
    with _held([script.pid], session=script.pid) as held:
        process = process_of(script.pid)
        if process and process.start == script.start:
            _wait(held.values(), seconds=MOMENT)


def _session(number: int) -> list[int]:
    """The processes of a session that still run."""
    for _ in range(LOOKS):
        every = (process_of(int(entry.name)) for entry in PROC.iterdir() if entry.name.isdecimal())
        running = [process.pid for process in every if process and _is_running(process, session=number)]
        # One that starts another and ends at once slips through a look, but not past the kernel.
        if running or not _signal_group(number, 0):
            return running
    return []


def _is_running(process: Process, *, session: int) -> bool:
    return process.session == session and not process.is_zombie


@contextlib.contextmanager
def _held(pids: Iterable[int], *, session: int) -> Iterator[dict[int, int]]:
    """Descriptors of those of these processes that are in the session, by their ids."""
    with contextlib.ExitStack() as closing:
        held = {}
        for pid in pids:
            with contextlib.suppress(OSError):
                descriptor = os.pidfd_open(pid)
                closing.callback(os.close, descriptor)
                process = process_of(pid)
                if process and process.session == session:
                    held[pid] = descriptor
        yield held


def _is_ours(script: Script, pids: Iterable[int], *, run: int) -> bool | None:
    """Whether these processes, of a session with the script's number, are of its session; None: no telling.

    One proves it for all: its main process, even as a zombie, or one that began later and names the run.
    """
    main = process_of(script.pid)
    if main:
        return main.start == script.start
    processes = [process for process in map(process_of, pids) if process]
    if any(process.start < script.start for process in processes):
        return False
    return True if any(_names(process.pid, run) for process in processes) else None


def _names(pid: int, run: int) -> bool:
    """Whether a process has the run's environment, or stands in its working folder."""
    with contextlib.suppress(OSError):
        if f"RUNBOOK_RUN_ID={run}".encode() in (PROC / f"{pid}/environ").read_bytes().split(b"\0"):
            return True
        return (PROC / f"{pid}/cwd").readlink().is_relative_to(Run(pk=run).work.resolve())
    return False


def _kill(held: Mapping[int, int], *, group: int) -> set[int]:
    """Kill these processes, which prove that the group is ours, and those that they have just started in it."""
    killed = set()
    for pid, descriptor in held.items():
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            killed.add(pid)
    _signal_group(group, signal.SIGKILL)
    return killed


def _signal_group(number: int, sent: int) -> bool:
    """Signal a process group; False means that there is none."""
    try:
        os.killpg(number, sent)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _wait(descriptors: Iterable[int], *, seconds: float) -> None:
    """Wait until the processes behind these descriptors have ended, or for so long."""
    deadline = time.monotonic() + seconds
    for descriptor in descriptors:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
