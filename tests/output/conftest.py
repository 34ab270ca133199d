"""Fixtures for what reads logs: log lines as a supervisor writes them, and a run whose script still goes on."""

import random
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from runbooks.execution import folder
from runbooks.models import Run, State
from runbooks.output import index, search, whole, windows
from runbooks.output.logfile import Part
from runbooks.output.watch import ring

TIME = b"2026-11-22T16:23:59.123456Z"
TEXTS = ["plain", "\x1b[31mred", "50%\r", "\x1b[0m", "<ü>" * 30, "\x1b[1mbold\x1b[0m"]


def line(content: bytes | str, *, stream: str = "stdout", tag: str = "F") -> bytes:
    """One line of a log."""
    content = content.encode() if isinstance(content, str) else content
    return b"%b %b %b %b\n" % (TIME, stream.encode(), tag.encode(), content)


def entries(seed: int, *, stderr: float = 0.3, parts: float = 0.3, most: int = 2000) -> bytes:
    """Entries of two streams, of which some are parts of lines that end much later."""
    dice = random.Random(seed)
    return b"".join(
        line(
            dice.choice(TEXTS),
            stream="stderr" if dice.random() < stderr else "stdout",
            tag="P" if dice.random() < parts else "F",
        )
        for _ in range(dice.randrange(most))
    )


def text_of(row: str) -> str:
    """What a row says, as markup."""
    return re.sub(r"<[^>]*>", "", row.partition('<span class="log__text">')[2])


def append(run: Run, data: bytes) -> None:
    with run.log.open("ab") as log:
        log.write(data)


def end(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(state=State.SUCCEEDED)
    ring(run.folder)


async def next_data(parts: AsyncIterator[Part]) -> Part:
    while not (part := await anext(parts)).data:
        continue
    return part


@pytest.fixture
def a_log(tmp_path: Path) -> Callable[[bytes], Path]:
    """A log with these entries."""

    def create(data: bytes) -> Path:
        path = tmp_path / "log"
        path.write_bytes(data)
        return path

    return create


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Places that are near to each other, and small parts, so that a small log has many."""
    monkeypatch.setattr(index, "STEP", 3000)
    for reader in (search, whole, windows):
        monkeypatch.setattr(reader, "READ", 1000)


@pytest.fixture
def a_running_run(transactional_db) -> Callable[..., Run]:
    def create(log: bytes = b"", **fields: object) -> Run:
        fields = {"runbook": "restart.md", "actor": "alice", "timeout": 600, "state": State.RUNNING, **fields}
        run = Run.objects.create(source="# restart", **fields)
        folder.prepare(run.folder)
        run.log.write_bytes(log)
        return run

    return create
