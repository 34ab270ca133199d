"""Log lines that are passed over: how many lines end in them, and how each stream stands after them.

Nothing is made of each line: a log of a million lines is counted in less than a second.
"""

from bisect import bisect_left
from collections.abc import Container, Sequence
from functools import cached_property

from runbooks.output.entries import PREFIX, STREAMS, Entry, Written, frame_kind, parse, written
from runbooks.output.html import MAX_LINE, Line, Style


class Passed:
    """Some log lines, taken apart as far as it is needed."""

    def __init__(self, data: bytes):
        self.data, self.has_colours = data, b"\x1b" in data
        self.entries = data.removesuffix(b"\n").split(b"\n") if data else []
        frames = [entry[27:PREFIX] for entry in self.entries]
        kinds = {frame: frame_kind(frame) for frame in set(frames)}
        self.is_part = [kinds[frame].is_part for frame in frames]
        streams = {kind.stream for kind in kinds.values()}
        every = range(len(frames))
        self.places = {
            stream: every if streams == {stream} else [n for n in every if kinds[frames[n]].stream == stream]
            for stream in STREAMS.values()
        }

    def ended(self, end: int | None = None) -> int:
        """How many lines have ended before this place."""
        parts = self.is_part[:end]
        return len(parts) - sum(parts)

    def is_open(self, place: int, other: str, before: Container[str]) -> bool:
        """Whether a line of the stream that is not this one has begun and not ended at a place."""
        (stream,) = self.places.keys() - {other}
        places = self.places[stream]
        earlier = bisect_left(places, place)
        return self.is_part[places[earlier - 1]] if earlier else stream in before

    def after(self, stream: str, line: Line | None, style: Style) -> tuple[Line | None, Style, int | None]:
        """The stream's line that has not ended, the style of its next one, and where that line has begun, if here."""
        places, begun = self.places[stream], None
        ended = next((n for n in range(len(places), 0, -1) if not self.is_part[places[n - 1]]), 0)
        if ended:
            line, style = None, self._style_after(stream, line or Line(0, stream, "", style), places[:ended])
        for place in places[ended:]:
            entry = self._entry(place)
            if line is None:
                line, begun = Line(0, stream, entry.time, style), place
            line.add(entry.content)
        return line, style, begun

    def _style_after(self, stream: str, line: Line, places: Sequence[int]) -> Style:
        """The style after the last of these entries, which ends a line."""
        if not self.has_colours and b"\x1b" not in line.content:
            return line.style
        text = line.content + b"".join(piece.content for piece in self.written if piece.stream == stream)
        text = text[: text.rfind(b"\n") + 1]
        if max(map(len, text.split(b"\n"))) <= MAX_LINE:
            return line.style.after(text)
        for place in places:  # of a line that is too long, the end is not looked at
            entry = self._entry(place)
            line.add(entry.content)
            if not entry.is_part:
                line = Line(0, stream, "", line.style.after(line.content))
        return line.style

    @cached_property
    def written(self) -> list[Written]:
        return list(written(self.data))

    def _entry(self, place: int) -> Entry:
        return next(parse(self.entries[place] + b"\n"))
