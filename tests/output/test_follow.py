"""The one reader: everything once, in order, live, to the end; however often it is asked to go on."""

import asyncio
import random

import pytest

from runbooks.models import Run, State
from runbooks.output import feed as feed_module
from runbooks.output import logfile
from runbooks.output import watch as watch_module
from runbooks.output.follow import Reader
from runbooks.threads import in_thread
from tests.output.conftest import append, end, line, next_data

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=["inotify", "polling"])
def _both_ways(request, monkeypatch):
    if request.param == "polling":
        monkeypatch.setattr(watch_module.Inotify, "of_this_loop", classmethod(lambda cls: None))


async def everything(reader: Reader) -> bytes:
    return b"".join([part.data async for part in reader.follow()])


@pytest.mark.usefixtures("_both_ways")
async def test_it_gives_what_there_was_and_then_what_comes(a_running_run):
    run = await in_thread(a_running_run, line("before"))
    async with asyncio.timeout(10):
        parts = Reader(run).follow()
        assert (await next_data(parts)).data == line("before")
        append(run, line("after"))
        part = await next_data(parts)
        assert (part.data, part.end) == (line("after"), len(line("before") + line("after")))
        await in_thread(end, run)
        assert [part.data async for part in parts] == [b""]
    assert run.state == State.SUCCEEDED


@pytest.mark.usefixtures("_both_ways")
async def test_an_unfinished_line_waits_for_its_end(a_running_run):
    run = await in_thread(a_running_run, b"")
    async with asyncio.timeout(10):
        parts = Reader(run).follow()
        append(run, line("whole") + line("half")[:40])
        assert (await next_data(parts)).data == line("whole")
        append(run, line("half")[40:])
        assert (await next_data(parts)).data == line("half")
        await parts.aclose()


async def test_what_is_printed_just_before_the_end_is_not_missed(a_running_run, monkeypatch):
    # Nobody rings in this test, and the end comes first: only the order of the looks can save the last line.
    monkeypatch.setattr(feed_module, "LOOK_AGAIN", 0.05)
    run = await in_thread(a_running_run, b"")
    await in_thread(append, run, line("the last"))
    await in_thread(Run.objects.filter(pk=run.pk).update, state=State.FAILED)
    async with asyncio.timeout(10):
        assert await everything(Reader(run)) == line("the last")


async def test_an_ended_run_is_read_without_waiting(a_running_run):
    log = b"".join(line(f"number {number}") for number in range(50_000))
    run = await in_thread(a_running_run, log, state=State.SUCCEEDED)
    async with asyncio.timeout(10):
        assert await everything(Reader(run)) == log


async def test_a_run_without_a_folder_ends_like_any_other(a_running_run):
    run = await in_thread(a_running_run, state=State.LOST)
    run.log.unlink()
    run.folder.rmdir()
    async with asyncio.timeout(10):
        assert await everything(Reader(run)) == b""


async def test_twenty_readers_that_come_and_go_see_the_same(a_running_run):
    run = await in_thread(a_running_run, b"")
    wanted = [line(f"number {number} " + "x" * (number % 300)) for number in range(3000)]
    chance = random.Random(7)

    async def write() -> None:
        for start in range(0, len(wanted), 20):
            append(run, b"".join(wanted[start : start + 20]))
            await asyncio.sleep(0.002)
        await in_thread(end, run)

    async def read(seed: int) -> bytes:
        dice, seen = random.Random(seed), b""
        mine = await in_thread(Run.objects.get, pk=run.pk)
        while mine.is_active:
            reader = Reader(mine, after=len(seen))
            parts = reader.follow()
            async for part in parts:
                seen += part.data
                if part.data and dice.random() < 0.05:
                    break
            await parts.aclose()
        return seen

    async with asyncio.timeout(60):
        _, *seen = await asyncio.gather(write(), *(read(chance.random()) for _ in range(20)))
    assert {hash(log) for log in seen} == {hash(b"".join(wanted))}


async def test_no_watch_is_left_when_readers_have_gone(a_running_run):
    run = await in_thread(a_running_run, line("one"))
    for _ in range(50):
        parts = Reader(run).follow()
        await next_data(parts)
        await parts.aclose()
    inotify = watch_module.Inotify.of_this_loop()
    assert inotify is None or not inotify.watches


async def test_a_slow_reader_holds_nothing_in_memory(a_running_run):
    run = await in_thread(a_running_run, line("x" * 1000) * 20_000)
    parts = Reader(run).follow()
    part = await next_data(parts)
    assert len(part.data) <= 2 * feed_module.READ
    await parts.aclose()


def test_the_end_of_a_log_is_after_its_last_whole_line(a_running_run):
    run = a_running_run(line("whole") + b"2026-11-22T16:23:59.123456Z stdout F tor")
    assert Reader(run).end() == len(line("whole"))


def test_the_end_is_found_behind_a_very_long_torn_line(a_running_run):
    run = a_running_run(line("whole") + b"x" * (3 * logfile.READ))
    assert Reader(run).end() == len(line("whole"))


async def test_a_run_that_never_pauses_is_looked_at_all_the_same(a_running_run, monkeypatch):
    monkeypatch.setattr(feed_module, "LOOK_AGAIN", 0.1)
    run = await in_thread(a_running_run, b"")
    await in_thread(Run.objects.filter(pk=run.pk).update, cancelled_by="bob")

    async def chatter() -> None:
        while True:
            append(run, line("again"))
            await asyncio.sleep(0.01)

    talk = asyncio.create_task(chatter())
    async with asyncio.timeout(10):
        looks = 0
        async for part in Reader(run).follow():
            looks += not part.data
            if looks == 3:
                await in_thread(Run.objects.filter(pk=run.pk).update, state=State.SUCCEEDED)
    talk.cancel()
    assert (run.cancelled_by, run.state) == ("bob", State.SUCCEEDED)
