"""Runs that are asked for all the time, and kill -9 at random moments for all that they need; what was done is kept."""

import http.client
import json
import os
import random
import select
import signal
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runbooks.execution.leftovers import process_of, script_of
from tests.execution.supervising import status
from tests.faults.parts import Parts, kill
from tests.processes import until
from tests.serving import Program, Site, signed_in

AT_ONCE = 14  # runs that wait or go on
PAUSE = 0.08  # seconds between two kills, on average
READY_FIRST = 0.7  # how many of the servers and runners are let come to work before they are killed


@dataclass(frozen=True)
class Blow:
    """A supervisor or a script that was killed, and what was to be seen of its run when it was dead."""

    run: int
    part: str
    had_begun: bool
    had_result: bool
    was_complete: bool
    log: bytes  # before


class Battle:
    """Asks for runs by keys, each again until it is answered, and kills what is named."""

    def __init__(self, site: Site, parts: Parts, *, runbooks: list[str], tracks: Path, seed: int):
        self.site, self.parts, self.runbooks, self.tracks = site, parts, runbooks, tracks
        self.random = random.Random(seed)
        self.now = {part: parts.started(part) for part in ("server", "runner")}
        self.program = signed_in(self.now["server"])
        self.keys: dict[str, str] = {}  # and the runbook that each asks for
        self.unasked: deque[str] = deque()
        self.waiting: dict[str, http.client.HTTPConnection] = {}
        self.runs: dict[str, int] = {}
        self.blows: list[Blow] = []
        self.kills = 0

    # What is asked for

    def feed(self) -> None:
        """Keep so many runs going; a request that a dying server has not answered is made again."""
        self._hear()
        unfinished = sum(state in ("queued", "running") for (state,) in self.site.query("state"))
        for _ in range(AT_ONCE - unfinished - len(self.waiting) - len(self.unasked)):
            key = f"key-{len(self.keys)}"
            self.keys[key] = self.random.choice(self.runbooks)
            self.unasked.append(key)
        self._ask()

    def _ask(self) -> None:
        for key in [self.unasked.popleft() for _ in range(len(self.unasked))]:
            try:
                headers = {"Prefer": "respond-async", "Idempotency-Key": key}
                path = f"/api/runbooks/{self.keys[key]}/execute"
                self.waiting[key] = self.program.ask("POST", path, {"env_vars": {}}, **headers)
            except OSError:
                self.unasked.append(key)

    def _hear(self) -> None:
        for key, connection in list(self.waiting.items()):
            if connection.sock and not select.select([connection.sock], [], [], 0)[0]:
                continue
            del self.waiting[key]
            try:
                answer = connection.getresponse()
                said = json.load(answer)
            except (OSError, http.client.HTTPException, ValueError):
                self.unasked.append(key)
            else:
                connection.close()
                assert answer.status == 202, said
                self.runs[key] = said["run_id"]

    # What is killed

    def strike(self, part: str) -> None:
        """Kill one part; or "both", the server and the runner."""
        if part in ("supervisor", "script"):
            self._strike_run(part)
        elif part == "forkserver":
            self._pause()
            until(lambda: self.feed() or self._strike_forkserver(), seconds=60)
        else:
            self._strike_parts(["server", "runner"] if part == "both" else [part])
        self.kills += 1

    def _strike_parts(self, parts: list[str]) -> None:
        if self.random.random() < READY_FIRST:
            until(lambda: self.feed() or all(self.now[part].says("ready") for part in parts), seconds=60)
        self._pause()
        for part in parts:
            kill(self.now[part])
        for part in parts:
            self.now[part] = self.parts.start(part)
        self.program = Program(self.now["server"], self.program.authorization)

    def _strike_forkserver(self) -> bool:
        """Kill what the runner has its supervisors forked by; False if there is none now."""
        for pid in children_of(self.now["runner"].process.pid):
            with suppress(OSError):
                descriptor = os.pidfd_open(pid)
                try:
                    if b"/supervisor" in Path(f"/proc/{pid}/cmdline").read_bytes():
                        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                        return True
                finally:
                    os.close(descriptor)
        return False

    def _strike_run(self, part: str) -> None:
        self._pause()
        blow = until(lambda: self.feed() or self._hit(part), seconds=60)
        self.blows.append(blow)

    def _hit(self, part: str) -> Blow | None:
        victims = list(self._supervisors() if part == "supervisor" else self._scripts())
        self.random.shuffle(victims)
        return next(filter(None, (self._killed(part, pid, folder) for pid, folder in victims)), None)

    def _supervisors(self) -> Iterator[tuple[int, Path]]:
        """Also those that have not come to start their script yet."""
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdecimal() and (name := name_of(int(entry.name))).startswith("runbook-"):
                    yield int(entry.name), self.site.data / "runs" / name.removeprefix("runbook-")

    def _scripts(self) -> Iterator[tuple[int, Path]]:
        for folder in self.site.data.glob("runs/*"):
            if script := script_of(folder):
                yield script.pid, folder

    def _killed(self, part: str, pid: int, folder: Path) -> Blow | None:
        """What was to be seen of this run once its supervisor or its script was dead; None if it had been before."""
        with suppress(OSError):
            descriptor = os.pidfd_open(pid)
            try:
                if not self._is_of_the_battle(part, pid, folder):
                    return None
                log = (folder / "log").read_bytes()
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                wait_for_the_end(descriptor)
            finally:
                os.close(descriptor)
            run = int(folder.name)
            # An empty file is what remains of a supervisor that died while it wrote.
            had_begun = part == "script" or supervisor_of(folder) in (pid, 0)
            return Blow(run, part, had_begun, (folder / "result").exists(), "done" in self.track(run), log)
        return None

    def _is_of_the_battle(self, part: str, pid: int, folder: Path) -> bool:
        """Whether this process is what it seems: numbers are used again, and the machine has other processes."""
        if part == "supervisor":
            # A script that has not begun yet looks like its supervisor, of which it is a child.
            is_one = not name_of(int(status(pid, "PPid"))).startswith("runbook-")
            files = Path(f"/proc/{pid}/fd").iterdir()
            return is_one and any(str(file.readlink()).startswith(f"{folder}/") for file in files)
        process = process_of(pid)
        return process is not None and not process.is_zombie and process.start == script_of(folder).start

    def _pause(self) -> None:
        """Come at a random moment; runs are asked for meanwhile."""
        select.select([], [], [], self.random.expovariate(1 / PAUSE))
        self.feed()

    # When it is over

    def calm(self) -> None:
        """Wait until every key is answered, and every run has ended."""
        until(self._is_over, seconds=120)

    def _is_over(self) -> bool:
        self._hear()
        self._ask()
        states = {state for (state,) in self.site.query("state")}
        return len(self.runs) == len(self.keys) and not states & {"queued", "running"}

    def track(self, run: int) -> list[str]:
        """What the script of this run has left of itself."""
        track = self.tracks / str(run)
        return track.read_text().split() if track.exists() else []


def supervisor_of(folder: Path) -> int | None:
    """Who wrote down that the script was to begin, 0 if it came to no more than to make the file; None if nobody."""
    try:
        return int(dict(line.split() for line in (folder / "started").read_text().splitlines()).get("supervisor", 0))
    except FileNotFoundError:
        return None


def children_of(pid: int) -> Iterator[int]:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            yield from map(int, (thread / "children").read_text().split())


def name_of(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def wait_for_the_end(descriptor: int) -> None:
    has_ended = select.poll()
    has_ended.register(descriptor, select.POLLIN)
    assert has_ended.poll(10_000)
