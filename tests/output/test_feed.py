"""What the readers of one run share: nothing is done twice for them, and none of them has to wait for another."""

import asyncio
import logging
import threading

import pytest
from django.db import OperationalError

from runbooks.models import Run, State
from runbooks.output import feed as feed_module
from runbooks.output.feed import Feed
from runbooks.output.follow import Part, Reader
from runbooks.output.logfile import LogFile
from runbooks.threads import in_thread
from tests.output.conftest import append, end, line, next_data

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def run(a_running_run) -> Run:
    return await in_thread(a_running_run, b"")


async def read_all(run: Run, *, after: int = 0) -> list[Part]:
    mine = await in_thread(Run.objects.get, pk=run.pk)
    return [part async for part in Reader(mine, after=after).follow() if part.data]


async def test_what_is_new_is_read_once_for_a_hundred_readers(run, monkeypatch):
    reads, read = [], LogFile.read
    monkeypatch.setattr(LogFile, "read", lambda *place, **most: reads.append(place) or read(*place, **most))
    readers = [Reader(run).follow() for _ in range(100)]
    async with asyncio.timeout(20):
        for reader in readers:
            await anext(reader)
        append(run, line("one"))
        parts = await asyncio.gather(*map(next_data, readers))
    assert [part is parts[0] for part in parts] == [True] * 100
    assert len(reads) < 5
    for reader in readers:
        await reader.aclose()


async def test_what_is_made_of_a_part_is_made_once_for_all():
    part, made = Part(b"", 0, 0), []
    makers = [part.once("form", lambda: made.append(1) or object()) for _ in range(3)]
    assert makers[0] is makers[1] is makers[2]

    async def slow() -> int:
        await asyncio.sleep(0)
        made.append(2)
        return 7

    leaving = asyncio.create_task(part.once_awaited("slow", slow))
    staying = asyncio.create_task(part.once_awaited("slow", slow))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying, made) == (7, [1, 2])


async def test_readers_from_everywhere_meet_at_the_same_places(run):
    entries = [line(f"number {number} " + "x" * (number % 500)) for number in range(3000)]
    append(run, log := b"".join(entries))
    await in_thread(end, run)
    starts = [len(b"".join(entries[:number])) for number in (0, 1, 100, 777)]
    async with asyncio.timeout(20):
        found = await asyncio.gather(*(read_all(run, after=start) for start in starts))
    for start, parts in zip(starts, found, strict=True):
        assert b"".join(part.data for part in parts) == log[start:]
        assert {part.end for part in parts[2:]} <= {part.end for part in found[0]}


async def test_who_is_far_behind_costs_the_others_nothing(run):
    append(run, line("x" * 1000) * 1000)
    async with asyncio.timeout(20):
        behind, ahead = Reader(run).follow(), Reader(run, after=run.log.stat().st_size).follow()
        assert (await next_data(behind)).start == 0
        for number in range(50):
            append(run, line(f"{number}"))
            assert (await next_data(ahead)).data == line(f"{number}")
        (feed,) = Feed.loops[asyncio.get_running_loop()].values()
        assert len(feed.parts) <= feed_module.KEPT
        assert (await next_data(behind)).start > 0
        await behind.aclose()
        await ahead.aclose()
    assert not Feed.loops[asyncio.get_running_loop()]


async def test_the_log_goes_on_while_the_database_is_slow(run, monkeypatch):
    parts, go_on = Reader(run).follow(), threading.Event()
    async with asyncio.timeout(20):
        await anext(parts)
        row_of = feed_module.row_of
        monkeypatch.setattr(feed_module, "row_of", lambda pk: go_on.wait(10) and row_of(pk))
        await in_thread(end, run)
        append(run, line("meanwhile"))
        assert (await next_data(parts)).data == line("meanwhile")
        assert run.is_active
        go_on.set()
        assert [part.data async for part in parts if part.data] == []
    assert run.state == State.SUCCEEDED


async def test_readers_stay_while_the_database_fails(run, monkeypatch, caplog):
    monkeypatch.setattr(feed_module, "LOOK_AGAIN", 0.05)
    parts, row_of = Reader(run).follow(), feed_module.row_of
    monkeypatch.setattr(feed_module, "row_of", failing)
    async with asyncio.timeout(20):
        for _ in range(3):
            assert (await anext(parts)).data == b""
        monkeypatch.setattr(feed_module, "row_of", row_of)
        await in_thread(end, run)
        assert [part.data async for part in parts if part.data] == []
    assert run.state == State.SUCCEEDED
    assert {record.levelno for record in caplog.records} == {logging.ERROR}


def failing(pk: int) -> dict[str, object]:
    raise OperationalError("disk I/O error")
