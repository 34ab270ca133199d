"""The lines of a log: which number each has, and how they stand at any place of it."""

from dataclasses import dataclass, field, replace

from runbooks.output.entries import Entry, has_parts, is_stdout, parse
from runbooks.output.html import MAX_LINE, Line, Style
from runbooks.output.passed import Passed


@dataclass
class Lines:
    """Numbers the lines of a log and turns them into HTML, entry after entry."""

    count: int = 0
    open: dict[str, Line] = field(default_factory=dict)
    styles: dict[str, Style] = field(default_factory=lambda: {"stdout": Style(), "stderr": Style()})

    def copy(self) -> "Lines":
        """The same lines, to go on from apart."""
        return Lines(self.count, {stream: replace(line) for stream, line in self.open.items()}, dict(self.styles))

    def skip(self, data: bytes, *, is_all_stdout: bool | None = None) -> None:
        """Pass over whole log lines, so that what follows has its right number and colour."""
        if not self.open and not has_parts(data):
            if b"\x1b" not in data:
                self.count += data.count(b"\n")
                return
            if (is_stdout(data) if is_all_stdout is None else is_all_stdout) and _has_no_long_line(data):
                self.count += data.count(b"\n")
                self.styles["stdout"] = self.styles["stdout"].after(data)  # there are no colours in the frames
                return
        passed, before = Passed(data), self.open
        ended = self.count - len(before)
        self.open = {}
        for stream, style in self.styles.items():
            line, self.styles[stream], begun = passed.after(stream, before.get(stream), style)
            if line and begun is not None:
                line.number = ended + passed.ended(begun) + passed.is_open(begun, stream, before) + 1
            if line:
                self.open[stream] = line
        self.count = ended + passed.ended() + len(self.open)

    def add(self, entry: Entry) -> Line:
        """The line that this entry is of, with what it brings; unless it is a part, the line has ended then."""
        line = self.open.pop(entry.stream, None)
        if line is None:
            self.count += 1
            line = Line(self.count, entry.stream, entry.time, self.styles[entry.stream])
        line.add(entry.content)
        if entry.is_part:
            self.open[entry.stream] = line
        return line

    def render(self, data: bytes) -> dict[int, str]:
        """The HTML of each line of which these whole log lines tell, by number; a line may have begun before them."""
        rows: dict[int, str] = {}
        for entry in parse(data):
            line = self.add(entry)
            rows[line.number] = ""  # takes its place; an unfinished line is rendered once, however many its parts
            if not entry.is_part:
                rows[line.number] = line.html()
                self.styles[entry.stream] = line.style
        rows.update((number, row) for number, row in self.unfinished().items() if number in rows)
        return rows

    def unfinished(self) -> dict[int, str]:
        """The lines that have begun and not ended, as far as they have come."""
        return {line.number: replace(line).html() for line in self.open.values()}


def _has_no_long_line(data: bytes) -> bool:
    """Whether it is certain that no line is so long that its end is not shown."""
    step = MAX_LINE // 2
    return all(b"\n" in data[start : start + step] for start in range(0, len(data) - step, step))
