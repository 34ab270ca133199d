"""Charts that the server draws as SVG, to be looked at rather than read; each has its numbers as text beside it.

Horizontal lengths are shares of the width: a chart is as crisp at 300 pixels as at 1,000, and no mark is stretched.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from statistics import median

from django.template.loader import render_to_string
from django.utils.html import strip_tags
from django.utils.safestring import SafeString
from django.utils.text import slugify

from runbooks.models import Run, State
from runbooks.templatetags.show import ago, duration

HEIGHT = 112  # pixels, for the longest bar
SHORTEST = 0.001  # seconds: no chart is of less, for something has to be divided by
FLAT = 2  # of what took no time to speak of, so that it is there at all
LABEL = 16  # of one line beside the axis
FEWEST_SLOTS = 20  # so that three runs do not become three blocks
HUGE = 6  # times the median: beyond this the others would be flat, and a square root shows them all
STEPS = (2, 4, 6, 10)  # the half of each stands at the axis too, and there are no 2.5 runs


@dataclass(frozen=True)
class Bar:
    """One thing to compare, such as a day or a runbook: how many, or how long, by the state that gives the colour."""

    label: str
    parts: Mapping[str, float]
    href: str = ""

    @property
    def total(self) -> float:
        return sum(self.parts.values())


@dataclass(frozen=True)
class _Piece:
    """A rectangle, ready for its attributes."""

    state: str
    x: str
    width: str
    y: str
    height: str


@dataclass(frozen=True)
class _Column:
    """What stands in one place of the axis, and what it says when it is pointed at."""

    title: str
    href: str
    slot: _Piece
    pieces: Sequence[_Piece] = field(default_factory=tuple)
    mark: str = ""
    middle: str = ""


@dataclass(frozen=True)
class _Tick:
    """A value at the axis."""

    words: str
    y: str
    is_typical: bool = False


@dataclass(frozen=True)
class _Scale:
    """How tall a duration is drawn: by its length, or by the root of it if a few would flatten all others."""

    longest: float
    is_rooted: bool

    def tall(self, seconds: float) -> float:
        share = seconds / self.longest
        return HEIGHT * (sqrt(share) if self.is_rooted else share)


def duration_chart(runs: Sequence[Run], *, typical: float | None = None, id: str = "durations") -> SafeString:
    """The runs, which come newest first, from the oldest to the newest: how long each took, and how it ended."""
    shown = list(reversed(runs))
    scale = _scale([run.seconds or 0.0 for run in shown], typical)
    context = {
        "id": id,
        "height": HEIGHT,
        "columns": [_run_column(run, scale, index, len(shown)) for index, run in enumerate(shown)],
        "ticks": _duration_ticks(scale, typical),
        "typical": typical,
        "typical_y": "" if typical is None else f"{HEIGHT - scale.tall(typical):.1f}",
        "scale": scale,
        "oldest": shown[0] if shown else None,
        "newest": shown[-1] if shown else None,
        "count": len(shown),
        "states": _counted(Counter(run.state for run in shown)),
    }
    return render_to_string("charts/_durations.html", context)


def bars(
    days: Sequence[Bar], *, id: str, head: str = "Day", words: Callable[[float], str] = "{:g}".format
) -> SafeString:
    """Columns side by side, each stacked by state; the same numbers fold out below as a table."""
    highest = _rounded_up(max((day.total for day in days), default=0.0))
    states = [state for state in State if any(day.parts.get(state) for day in days)]
    context = {
        "id": id,
        "height": HEIGHT,
        "columns": [_stack(day, index, len(days), highest, words) for index, day in enumerate(days)],
        "ticks": [_Tick(words(highest), "0"), _Tick(words(highest / 2), f"{HEIGHT / 2:.1f}")],
        "first": days[0].label if days else "",
        "last": days[-1].label if days else "",
        "states": _counted(Counter({state: sum(day.parts.get(state, 0) for day in days) for state in states})),
        "head": head,
        "rows": [(day, [words(day.parts.get(state, 0)) for state in states], words(day.total)) for day in days],
    }
    return render_to_string("charts/_bars.html", context)


def ranking(
    rows: Sequence[Bar], *, heads: tuple[str, str], words: Callable[[float], str] = "{:g}".format
) -> SafeString:
    """A table whose rows have a bar each: the most used, the slowest."""
    longest = max((row.total for row in rows), default=0.0) or 1.0
    context = {
        "id": slugify(" ".join(heads)),
        "heads": heads,
        "rows": [(row, words(row.total), _parts_told(row, words), list(_along(row, longest))) for row in rows],
    }
    return render_to_string("charts/_ranking.html", context)


def _run_column(run: Run, scale: _Scale, index: int, count: int) -> _Column:
    slot = _slot(index, count)
    height = max(scale.tall(run.seconds or 0.0), FLAT)
    piece = _piece(run.state, slot, top=HEIGHT - height, height=height)
    return _Column(
        title=_told(run),
        href=run.get_absolute_url(),
        slot=_piece("", slot, top=0, height=HEIGHT, gap=0),
        pieces=(piece,) if run.started_at else (),
        mark="" if run.state == State.SUCCEEDED else run.state,
        middle=f"{slot[0] + slot[1] / 2:.3f}%",
    )


def _told(run: Run) -> str:
    """The run in one line, such as: #12 failed after 3 min, 2 d ago."""
    how_long = "" if run.seconds is None else f" {'for' if run.is_active else 'after'} {duration(run.seconds)}"
    return f"#{run.pk} {run.get_state_display()}{how_long}, {strip_tags(ago(run.queued_at))}"


def _scale(seconds: Sequence[float], typical: float | None) -> _Scale:
    longest = max([*seconds, typical or 0.0, SHORTEST])
    usual = median([length for length in seconds if length] or [0.0])
    return _Scale(longest, is_rooted=longest > HUGE * usual > 0)


def _duration_ticks(scale: _Scale, typical: float | None) -> list[_Tick]:
    top = _Tick(duration(scale.longest), "0")
    if typical is None:
        return [top]
    y = HEIGHT - scale.tall(typical)
    # Two labels in one place can both not be read; the typical one is looked for.
    return [top] * (y >= LABEL) + [_Tick(duration(typical), f"{y:.1f}", is_typical=True)]


def _stack(day: Bar, index: int, count: int, highest: float, words: Callable[[float], str]) -> _Column:
    slot, pieces, top = _slot(index, count), [], float(HEIGHT)
    for state in State:
        if value := day.parts.get(state, 0):
            height = max(HEIGHT * value / highest, FLAT)
            top -= height
            pieces.append(_piece(state, slot, top=top, height=height))
    title = f"{day.label}: {_parts_told(day, words) or 'none'}"
    return _Column(title, day.href, _piece("", slot, top=0, height=HEIGHT, gap=0), pieces)


def _parts_told(bar: Bar, words: Callable[[float], str]) -> str:
    return ", ".join(f"{words(bar.parts[state])} {state.label}" for state in State if bar.parts.get(state))


def _along(row: Bar, longest: float) -> Iterator[_Piece]:
    left = 0.0
    for state, value in row.parts.items():
        width = 100 * value / longest
        yield _Piece(state, f"{left:.2f}%", f"{width:.2f}%", "0", "100%")
        left += width


def _slot(index: int, count: int) -> tuple[float, float]:
    """Where a column begins, and how wide it is, in percent."""
    width = 100 / max(count, FEWEST_SLOTS)
    return index * width, width


def _piece(state: str, slot: tuple[float, float], *, top: float, height: float, gap: float = 0.25) -> _Piece:
    left, width = slot
    return _Piece(state, f"{left + width * gap / 2:.3f}%", f"{width * (1 - gap):.3f}%", f"{top:.1f}", f"{height:.1f}")


def _rounded_up(value: float) -> float:
    """The next value that is easy to read at an axis, such as 20 or 600; its half is whole, and it is at least 2."""
    power = 1.0
    while power * 10 < value:
        power *= 10
    return next(step * power for step in STEPS if step * power >= value)


def _counted(counts: Mapping[str, float]) -> list[tuple[State, float]]:
    return [(state, counts[state]) for state in State if counts.get(state)]
