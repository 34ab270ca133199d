"""The log as a person sees it: the panel of a run's page, and the pieces of HTML that keep it live."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import mark_safe

from runbooks import library
from runbooks.access.actor import Actor
from runbooks.models import Run
from runbooks.output.entries import tail_offset
from runbooks.output.follow import Reader
from runbooks.output.html import Lines

PAGE_LINES = 2000  # how many lines a page opens with, and how far a viewer may fall behind
SUB_RUNS = 20  # how many of them a page shows
CHUNK_LINES = 500
CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Chunk:
    """Log lines as HTML: new ones in their wrapper, and how lines change that had begun before."""

    html: str
    end: int
    lines: int


def chunks(lines: Lines, data: bytes, *, start: int) -> Iterator[Chunk]:
    """These whole log lines as HTML, in pieces that a browser lays out without a hitch."""
    while data:
        cut, known = _cut(data), lines.count
        rows = lines.render(data[:cut])
        start, data = start + cut, data[cut:]
        yield Chunk(_html(rows, known=known), start, len(rows))


def _html(rows: Mapping[int, str], *, known: int) -> str:
    """New lines in their wrapper, and what takes the place of lines up to the number that is known."""
    new = _wrapped([row for number, row in rows.items() if number > known])
    return new + "".join(_replacement(f"L{number}", row) for number, row in rows.items() if number <= known)


def _wrapped(rows: list[str]) -> str:
    return f'<div class="log__chunk" data-lines="{len(rows)}">{"".join(rows)}</div>' if rows else ""


def _cut(data: bytes) -> int:
    """How many bytes make one chunk: whole lines, at least one."""
    if len(data) > CHUNK_BYTES:
        data = data[: data.rfind(b"\n", 0, CHUNK_BYTES) + 1 or data.find(b"\n") + 1]
    if data.count(b"\n") <= CHUNK_LINES:
        return len(data)
    position = -1
    for _ in range(CHUNK_LINES):
        position = data.find(b"\n", position + 1)
    return position + 1


def state_html(actor: Actor, run: Run) -> str:
    """The run's state as it is now, to replace what the page shows."""
    return _replacement("run-state", render_to_string("runs/_state.html", state_context(actor, run)), swap="outerMorph")


def state_context(actor: Actor, run: Run) -> dict[str, Any]:
    """The run, and of those around it what this actor may see: its parent, and the newest of its sub-runs."""
    around = Q(pk=run.parent_id) | Q(parent=run.pk)
    if not Run.objects.filter(around).exists():
        return {"run": run}
    seen = library.without_bulk(library.visible_runs(actor))
    below = seen.filter(parent=run.pk)
    return {
        "run": run,
        "parent": seen.filter(pk=run.parent_id).first(),
        "sub_runs": list(below[:SUB_RUNS])[::-1],
        "more_sub_runs": max(0, below.count() - SUB_RUNS),
    }


def sub_run_states(run: Run) -> dict[str, int]:
    """How many sub-runs stand where: another answer means that there is something new to show."""
    counted = Run.objects.filter(parent=run.pk).order_by().values_list("state")
    return dict(counted.annotate(Count("pk")))


def passed_over_html(run: Run, count: int) -> str:
    """The line that stands for lines that were not sent, for the viewer was too far behind."""
    context = {"passed_over": count, "log_url": address(run, "log")}
    return render_to_string("runs/_log_passed_over.html", context)


def _replacement(id: str, html: str, *, swap: str = "outerHTML") -> str:
    return f'<hx-partial hx-target="#{id}" hx-swap="{swap}">{html}</hx-partial>'


def log_context(run: Run) -> dict[str, Any]:
    """What the panel shows when the page opens, and the offset at which the live stream goes on."""
    reader, lines = Reader(run), Lines()
    rows: dict[int, str] = {}
    try:
        end = reader.end()
        pass_over(reader, lines, to=tail_offset(run.log, lines=PAGE_LINES, end=end) if end else 0)
        passed_over = lines.count
        for part in reader.read_to(end):
            rows.update(lines.render(part.data))
    finally:
        reader.close()
    shown = list(rows.values())
    wrappers = (_wrapped(shown[start : start + CHUNK_LINES]) for start in range(0, len(shown), CHUNK_LINES))
    return {
        "log": mark_safe("".join(wrappers)),  # noqa: S308 - escaped by output.html
        "passed_over": passed_over,
        "events_url": f"{address(run, 'events')}?after={end}",
        "log_url": address(run, "log"),
    }


def pass_over(reader: Reader, lines: Lines, *, to: int) -> None:
    """Move a reader on without rendering what it passes; the numbers of the lines stay right."""
    for part in reader.read_to(to):
        lines.skip(part.data)


def jump(reader: Reader, lines: Lines) -> str | None:
    """Move a reader that is more than PAGE_LINES behind to near the end: what stands for what it has passed over."""
    end, known = reader.end(), lines.count
    if tail_offset(reader.run.log, lines=PAGE_LINES, end=end) <= reader.offset:
        return None
    pass_over(reader, lines, to=tail_offset(reader.run.log, lines=CHUNK_LINES, end=end))
    unfinished = lines.unfinished()
    count = lines.count - known - sum(number > known for number in unfinished)
    return (passed_over_html(reader.run, count) if count else "") + _html(unfinished, known=known)


def address(run: Run, name: str) -> str:
    """The address of one of a run's streams."""
    return reverse(name, urlconf="runbooks.web.consumers", args=[run.pk])
