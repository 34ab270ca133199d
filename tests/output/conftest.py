"""Fixtures for what reads logs: log lines as a supervisor writes them, and a run whose script still goes on."""

from collections.abc import AsyncIterator, Callable

import pytest

from runbooks.execution import folder
from runbooks.models import Run, State
from runbooks.output.logfile import Part
from runbooks.output.watch import ring

TIME = b"2026-11-22T16:23:59.123456Z"


def line(content: bytes | str, *, stream: str = "stdout", tag: str = "F") -> bytes:
    """One line of a log."""
    content = content.encode() if isinstance(content, str) else content
    return b"%b %b %b %b\n" % (TIME, stream.encode(), tag.encode(), content)


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
def a_running_run(transactional_db) -> Callable[..., Run]:
    def create(log: bytes = b"", **fields: object) -> Run:
        fields = {"runbook": "restart.md", "actor": "alice", "timeout": 600, "state": State.RUNNING, **fields}
        run = Run.objects.create(source="# restart", **fields)
        folder.prepare(run.folder)
        run.log.write_bytes(log)
        return run

    return create
