"""What is measured: each function is one sitting with the server, and gives some rows of the table.

A figure and its floor are taken in turns where both are short, for other programs make this machine now fast, now slow.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench import floors, logs, rows
from bench.clients import Client, Stream, read
from bench.site import Site, private_memory
from bench.table import Row

MEGABYTE = 1_000_000
LINE = 100  # bytes of each line that Flood prints
AT_ONCE = {"BEGIN": "/", "END": "/"}


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    runs: int
    lines: int
    lines_watched: int
    floods: tuple[int, ...]  # bytes
    at_once: tuple[int, ...]
    viewers: tuple[int, ...]
    lines_kept: int
    runs_kept: int


FULL = Sizes(100, 500, 100, (10 * MEGABYTE, 1000 * MEGABYTE), (1, 50, 200), (1, 100, 500), 1_000_000, 100_000)
QUICK = Sizes(30, 100, 40, (10 * MEGABYTE,), (1, 20), (1, 50), 100_000, 10_000)


def true(site: Site, sizes: Sizes) -> Iterator[Row]:
    """A run of `true` from the request to the answer, which comes when the run is settled."""
    client = Client(site.port)
    pairs = [(_seconds(lambda: client.execute("Noop")), floors.processes()) for _ in range(sizes.runs + 5)][5:]
    ours, bare = (1e3 * statistics.median(seconds) for seconds in zip(*pairs, strict=True))
    yield Row("a run of `true`, from request to settled", ours, "ms", bare, most_ratio=2.5)


def line(site: Site, sizes: Sizes) -> Iterator[Row]:
    """How old a line is when it arrives: by the API, on a page, and by a bare pipe."""
    values = {"COUNT": str(sizes.lines), "PAUSE": "0.02"}
    client = Client(site.port)
    gate = site.folder / "line"
    run = client.start("Ticks", **values, BEGIN=str(gate), END="/")
    api, page = client.follow(run), client.watch(run)
    _read_lines([api, page], lines=0)
    gate.touch()
    read([api, page])
    bare = floors.ticks(site.folder, **values, **AT_ONCE)
    assert len(api.ages) == len(page.ages) == len(bare) == sizes.lines
    for part, most in ((0.5, 1), (0.99, 5)):
        name, floor = f"p{100 * part:g}", 1e3 * _share(bare, part)
        yield Row(f"a line's way to a client of the API, {name}", 1e3 * _share(api.ages, part), "ms", floor, most)
        yield Row(f"a line's way to a page (HTML), {name}", 1e3 * _share(page.ages, part), "ms", floor)


def output(site: Site, sizes: Sizes) -> Iterator[Row]:
    """Much output, from the request to the last byte at a client: as it is printed, and as a download."""
    client = Client(site.port)
    for size in sizes.floods:
        name = f"{size // MEGABYTE} MB" if size < 1000 * MEGABYTE else f"{size // (1000 * MEGABYTE)} GB"
        sent = []
        for _ in range(5 if size <= 10 * MEGABYTE else 1):
            began = time.perf_counter()
            run = client.start("Flood", LINES_OUT=str(size // LINE))
            live = _seconds_of(client.follow(run), size, began=began)
            downloaded = _seconds_of(client.download(run), size, began=time.perf_counter())
            sent.append((live, downloaded, floors.cat(site.folder / f"data/runs/{run}/log")))
        live, downloaded, bare = (statistics.median(seconds) for seconds in zip(*sent, strict=True))
        goal = 0.25 if size == 10 * MEGABYTE else None
        yield Row(f"{name} printed and streamed to a client", live, "s", bare, goal)
        yield Row(f"{name} downloaded", downloaded, "s", bare)


def secrets(site: Site, sizes: Sizes) -> Iterator[Row]:
    """What it costs to look for secrets: a flood with four more than its own token, and one with that alone."""
    client = Client(site.port)
    size = sizes.floods[0]
    values = {f"BENCH_TOKEN_{number}": f"{number}-Kj8mWq2ZxT5vLp9n/{number}" for number in range(4)}

    def flood(**values: str) -> float:
        began = time.perf_counter()
        return _seconds_of(
            client.follow(client.start("Flood", LINES_OUT=str(size // LINE), **values)), size, began=began
        )

    pairs = [(flood(**values), flood()) for _ in range(sizes.runs // 5)]
    masked, bare = (statistics.median(seconds) for seconds in zip(*pairs, strict=True))
    yield Row(f"{size // MEGABYTE} MB of a run with four secrets", masked, "s", bare, most_ratio=1.2)


def runs(site: Site, sizes: Sizes) -> Iterator[Row]:
    """Runs that are started at the same moment, each followed from its first line to its last."""
    client = Client(site.port)
    for count in sizes.at_once:
        gate = site.folder / f"runs{count}"
        values = {"COUNT": "20", "PAUSE": "0.25", "BEGIN": "/", "END": str(gate)}
        streams = [client.stream_of_new("Ticks", **values) for _ in range(count)]
        _read_lines(streams, lines=20)
        memory = [private_memory(stream.parent) for stream in streams]
        gate.touch()
        read(streams)
        what = f"{count} run{'s' * (count > 1)} at once"
        yield from _latencies(what, streams, most=100 if count == 50 else None)
        yield Row(f"{what}: complete", _complete(streams, lines=20), "runs", at_least=count)
        if None not in memory:
            yield Row(f"{what}: private memory of each", statistics.median(memory) / 2**20, "MB", at_most=6)


def viewers(site: Site, sizes: Sizes) -> Iterator[Row]:
    """One run and many who watch it from its first line to its last."""
    client = Client(site.port)
    for count in sizes.viewers:
        gate = site.folder / f"viewers{count}"
        run = client.start("Ticks", COUNT=str(sizes.lines_watched), PAUSE="0.1", BEGIN=str(gate), END="/")
        memory = site.memory()
        streams = [client.follow(run) for _ in range(count)]
        _read_lines(streams, lines=0)
        cpu, began = site.cpu(), time.perf_counter()
        gate.touch()
        _read_lines(streams, lines=sizes.lines_watched)
        cpu = 100 * (site.cpu() - cpu) / (time.perf_counter() - began)
        more = max(0, site.memory() - memory) / 2**20
        read(streams)
        what = f"{count} viewer{'s' * (count > 1)} of a run"
        yield from _latencies(what, streams, most=100 if count == 500 else None)
        yield Row(f"{what}: complete", _complete(streams, lines=sizes.lines_watched), "viewers", at_least=count)
        yield Row(f"{what}: the server's processor time", cpu, "%")
        yield Row(f"{what}: more memory of the server", more, "MB", at_most=40 if count == 500 else None)


def pages(site: Site, sizes: Sizes) -> Iterator[Row]:
    """A long log on a page: opened at its end, looked at in its midst, and looked through."""
    client = Client(site.port)
    person = client.person()
    lines = sizes.lines_kept
    for kind in logs.KINDS:
        run = client.start("Noop")
        read([client.follow(run)])
        logs.write(site.folder / f"data/runs/{run}/log", kind, lines=lines)
        what = f"{lines:,} lines, {kind}"

        def seconds(path: str, run: int = run) -> float:
            return _seconds(lambda: person.page(f"/runs/{run}/{path}"))

        yield Row(f"{what}: the page, opened for the first time", seconds(""), "s", at_most=1)
        yield Row(f"{what}: the page, opened again", seconds(""), "s", at_most=1)
        yield Row(f"{what}: the lines around one", seconds(f"lines/?around={lines // 2}"), "s", at_most=1)
        yield Row(f"{what}: a text that is nowhere", seconds("search/?q=nowhere"), "s")
        yield Row(f"{what}: a text that is everywhere", seconds("search/?q=TEXT"), "s")
        yield Row(f"{what}: a text that is in the last line", seconds(f"search/?q=line+{lines}"), "s")


def history(site: Site, sizes: Sizes) -> Iterator[Row]:
    """The list of very many runs, whole and narrowed, against a page that has nothing but a form."""
    client = Client(site.port)
    person, run = client.person(), client.start("Noop")
    read([client.follow(run)])
    rows.multiply(site.folder / "data/db.sqlite3", run, count=sizes.runs_kept)
    middle = run + sizes.runs_kept // 2

    def seconds(path: str) -> float:
        return _seconds(lambda: person.page(f"/runs/{path}"))

    for what, query in {
        "the newest": "",
        "those from the midst on": f"?before={middle}",
        "those of a person": "?person=person7",
        "those that failed": "?state=failed",
        "those of nobody": "?person=nobody",
    }.items():
        pairs = [(seconds(query), seconds("compare/")) for _ in range(5)]
        ours, bare = (1e3 * statistics.median(taken) for taken in zip(*pairs, strict=True))
        yield Row(f"{sizes.runs_kept:,} runs: {what}", ours, "ms", bare, at_most=100)


MEASURES: dict[str, Callable[[Site, Sizes], Iterator[Row]]] = {
    measure.__name__: measure for measure in (true, line, output, secrets, runs, viewers, pages, history)
}


def _latencies(what: str, streams: Sequence[Stream], *, most: float | None) -> Iterator[Row]:
    ages = [1e3 * age for stream in streams for age in stream.ages]
    assert ages, f"{what}: no line has come"
    yield Row(f"{what}: a line's way, p50", _share(ages, 0.5), "ms")
    yield Row(f"{what}: a line's way, p99", _share(ages, 0.99), "ms", at_most=most)


def _read_lines(streams: Sequence[Stream], *, lines: int) -> None:
    """Read until each has brought the first line and these, or has ended."""
    read(
        streams,
        until=lambda: all(stream.has_ended or (stream.parent and len(stream.ages) >= lines) for stream in streams),
    )


def _complete(streams: Sequence[Stream], *, lines: int) -> int:
    """How many of them brought everything: the first line, each of these lines once, and the end."""
    return sum(bool(stream.parent) and len(stream.ages) == lines and stream.has_succeeded for stream in streams)


def _share(values: Sequence[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def _seconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _seconds_of(stream: Stream, size: int, *, began: float) -> float:
    """How long it took until the end of the stream, which has no less than the script has printed."""
    read([stream])
    assert stream.size >= size, stream.rest
    return time.perf_counter() - began
