"""The table of what was measured: each figure beside its floor, and beside its goal if it has one."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Row:
    """One figure; `floor` is what the same costs without Runbookweb, and goals are of the figure or of the ratio."""

    what: str
    value: float
    unit: str
    floor: float | None = None
    at_most: float | None = None
    at_least: float | None = None
    most_ratio: float | None = None

    @property
    def ratio(self) -> float | None:
        return self.value / self.floor if self.floor else None

    @property
    def goal(self) -> str:
        if self.most_ratio:
            return f"≤ {self.most_ratio:g} floors"
        limit, sign = (self.at_most, "≤") if self.at_least is None else (self.at_least, "≥")
        return "" if limit is None else f"{sign} {limit:g} {self.unit}"

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        if not self.goal:
            return None
        return (
            (self.most_ratio is None or (self.ratio is not None and self.ratio <= self.most_ratio))
            and (self.at_most is None or self.value <= self.at_most)
            and (self.at_least is None or self.value >= self.at_least)
        )

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "ratio": self.ratio, "goal": self.goal, "is_met": self.is_met}


def table(rows: Iterable[Row]) -> str:
    """The rows under each other, for people."""
    head = ("what", "figure", "floor", "ratio", "goal", "met")
    lines = [head, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_line(cells, widths) for cells in lines)


def _cells(row: Row) -> tuple[str, ...]:
    met = {None: "", True: "yes", False: "NO"}[row.is_met]
    floor = "" if row.floor is None else f"{_figure(row.floor)} {row.unit}"
    ratio = "" if row.ratio is None else _figure(row.ratio)
    return (row.what, f"{_figure(row.value)} {row.unit}", floor, ratio, row.goal, met)


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    """Names and goals begin in one column, figures end in one."""
    aligned = [
        text.ljust(width) if number in (0, 4, 5) else text.rjust(width)
        for number, (text, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(aligned).rstrip()


def _figure(value: float) -> str:
    """Three digits that say something."""
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
