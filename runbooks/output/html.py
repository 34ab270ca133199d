r"""Log entries as HTML lines: colours shown, progress bars in place, everything else made harmless.

Of a terminal's language only SGR (colours, bold ...) is understood, from a fixed table, and `\r`; every other sequence
is dropped and every other control character shown as a picture. Text is escaped before anything is added to it.
"""

import re
from dataclasses import dataclass, field, replace
from html import escape

from runbooks.output.entries import Entry, count_lines, has_parts, parse

MAX_LINE = 16 * 1024
SEQUENCE = re.compile(
    r"\x1b\[([0-9;:]{0,100})m"  # SGR, the one that is kept
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # any other CSI
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC (window titles, links), DCS and the like, if they end
    r"|\x1b[ -/]*[0-Z\\^-~]"
    r"|\x1b"
)
PICTURES = {code: 0x2400 + code for code in range(32) if code not in (9, 10, 27)} | {127: 0x2421}
PICTURES |= dict.fromkeys(range(0x80, 0xA0), 0xFFFD)  # C1 controls: some terminals obey them
# Directional overrides would let a line read differently from what it says.
PICTURES |= dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], 0xFFFD)
HARMFUL = re.compile("[" + "".join(re.escape(chr(code)) for code in PICTURES) + "]")
ATTRIBUTES = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse", 9: "strike"}
ENDS = {22: ("bold", "dim"), 23: ("italic",), 24: ("underline",), 27: ("inverse",), 29: ("strike",)}


class Style:
    """The colours and attributes that a terminal would have at this point of a stream."""

    def __init__(self) -> None:
        self.foreground = self.background = ""
        self.attributes: frozenset[str] = frozenset()

    @property
    def classes(self) -> str:
        return " ".join(filter(None, (self.foreground, self.background, *sorted(self.attributes))))

    def apply(self, parameters: str) -> None:
        """Take over one SGR sequence; numbers that are unknown change nothing."""
        numbers = [int(number or 0) for number in parameters.replace(":", ";").split(";")][:32]
        while numbers:
            number = numbers.pop(0)
            if number == 0:
                self.__init__()
            elif number in ATTRIBUTES:
                self.attributes |= {ATTRIBUTES[number]}
            elif number in ENDS:
                self.attributes -= set(ENDS[number])
            elif number in (38, 48):
                colour = _extended_colour(numbers)
                if colour is not None:
                    self._paint(number == 38, colour)
            elif number in (39, 49):
                self._paint(number == 39, None)
            elif 30 <= number <= 37 or 40 <= number <= 47:
                self._paint(number < 40, number % 10)
            elif 90 <= number <= 97 or 100 <= number <= 107:
                self._paint(number < 100, number % 10 + 8)

    def _paint(self, is_foreground: bool, colour: int | None) -> None:
        if is_foreground:
            self.foreground = "" if colour is None else f"fg{colour}"
        else:
            self.background = "" if colour is None else f"bg{colour}"


def _extended_colour(numbers: list[int]) -> int | None:
    """The nearest of the 16 colours to what follows 38 or 48, which is taken off the list."""
    kind = numbers.pop(0) if numbers else None
    if kind == 5 and numbers:
        number = numbers.pop(0)
        if number < 16:
            return number
        if number < 232:
            cube = number - 16
            return _nearest(*(0 if level == 0 else 55 + 40 * level for level in (cube // 36, cube // 6 % 6, cube % 6)))
        return _nearest(*[8 + 10 * (number - 232)] * 3) if number < 256 else None
    if kind == 2 and len(numbers) >= 3:
        red, green, blue = numbers[:3]
        del numbers[:3]
        return _nearest(red, green, blue)
    return None


def _nearest(red: int, green: int, blue: int) -> int:
    brightest = max(red, green, blue)
    if brightest - min(red, green, blue) < 32:
        return 0 if brightest < 64 else 8 if brightest < 140 else 7 if brightest < 220 else 15
    bits = sum(bit for bit, level in ((1, red), (2, green), (4, blue)) if level > brightest / 2)
    return bits + 8 if brightest > 200 else bits


def line_html(text: str, style: Style) -> str:
    """One line of a stream as HTML; the style is left as it is at the line's end."""
    if "\x1b" not in text:
        return _span(_last_on_the_line(text), style.classes)
    pieces: list[tuple[str, str]] = []
    position = 0
    for match in SEQUENCE.finditer(text):
        pieces.append((text[position : match.start()], style.classes))
        if match[1] is not None:
            style.apply(match[1])
        position = match.end()
    pieces.append((text[position:], style.classes))
    return "".join(_span(piece, classes) for piece, classes in _after_the_return(pieces))


def _after_the_return(pieces: list[tuple[str, str]]) -> list[tuple[str, str]]:
    r"""What is left on the line of pieces of text in different styles when each `\r` begins it anew."""
    text = "".join(piece for piece, _ in pieces).rstrip("\r")
    start, kept = text.rfind("\r") + 1, []
    position = 0
    for piece, classes in pieces:
        end = min(position + len(piece), len(text))
        if end > start:
            kept.append((text[max(position, start) : end], classes))
        position += len(piece)
    return kept


def _last_on_the_line(text: str) -> str:
    return text.rstrip("\r").rpartition("\r")[2] if "\r" in text else text


def _span(text: str, classes: str) -> str:
    if not text:
        return ""
    if HARMFUL.search(text):
        text = text.translate(PICTURES)
    text = escape(text, quote=False)
    return f'<span class="{classes}">{text}</span>' if classes else text


@dataclass
class Line:
    """A line that the script has begun: where it stands, and what has come of it."""

    number: int
    stream: str
    time: str
    style: Style
    content: bytes = b""
    size: int = 0

    def add(self, content: bytes) -> None:
        r"""Take in more of the line; what a `\r` has made an end of only leaves its colours."""
        start = content.rstrip(b"\r").rfind(b"\r") + 1
        if start or (self.content.endswith(b"\r") and content.strip(b"\r")):
            self.style = _after(self.style, self.content + content[:start])
            self.content, self.size = b"", 0
            content = content[start:]
        self.size += len(content)
        self.content += content[: MAX_LINE - len(self.content)]

    def html(self) -> str:
        """The line as a row of the log; its style is then the one after it."""
        if b"\x1b" in self.content:
            self.style = _copy(self.style)
        return _row(self, line_html(self.content.decode("utf-8", "replace"), self.style))


@dataclass
class Lines:
    """Numbers the lines of a log and turns them into HTML, entry after entry."""

    count: int = 0
    open: dict[str, Line] = field(default_factory=dict)
    styles: dict[str, Style] = field(default_factory=lambda: {"stdout": Style(), "stderr": Style()})

    def copy(self) -> "Lines":
        """The same lines, to go on from apart."""
        return Lines(self.count, {stream: replace(line) for stream, line in self.open.items()}, dict(self.styles))

    def skip(self, data: bytes) -> None:
        """Pass over whole log lines, so that what follows has its right number and colour."""
        if b"\x1b" not in data and not self.open and not has_parts(data):
            self.count += count_lines(data)
            return
        for entry in parse(data):
            line = self._add(entry)
            if not entry.is_part:
                self.styles[entry.stream] = _after(line.style, line.content)

    def render(self, data: bytes) -> dict[int, str]:
        """The HTML of each line of which these whole log lines tell, by number; a line may have begun before them."""
        rows: dict[int, str] = {}
        for entry in parse(data):
            line = self._add(entry)
            rows[line.number] = ""  # takes its place; an unfinished line is rendered once, however many its parts
            if not entry.is_part:
                rows[line.number] = line.html()
                self.styles[entry.stream] = line.style
        rows.update((number, row) for number, row in self.unfinished().items() if number in rows)
        return rows

    def unfinished(self) -> dict[int, str]:
        """The lines that have begun and not ended, as far as they have come."""
        return {line.number: replace(line).html() for line in self.open.values()}

    def _add(self, entry: Entry) -> Line:
        line = self.open.pop(entry.stream, None)
        if line is None:
            self.count += 1
            line = Line(self.count, entry.stream, entry.time, self.styles[entry.stream])
        line.add(entry.content)
        if entry.is_part:
            self.open[entry.stream] = line
        return line


def _after(style: Style, content: bytes) -> Style:
    """The style after this content."""
    if b"\x1b" not in content:
        return style
    style = _copy(style)
    for match in SEQUENCE.finditer(content.decode("utf-8", "replace")):
        if match[1] is not None:
            style.apply(match[1])
    return style


def _copy(style: Style) -> Style:
    copy = Style()
    copy.foreground, copy.background, copy.attributes = style.foreground, style.background, style.attributes
    return copy


def _row(line: Line, html: str) -> str:
    number = line.number
    kind = " log__line--stderr" if line.stream == "stderr" else ""
    if line.size > MAX_LINE:
        html += f'<span class="log__more">… {line.size - MAX_LINE:,} more bytes: see the whole log</span>'
    return (
        f'<div class="log__line{kind}" id="L{number}"><a class="log__number" href="#L{number}">{number}</a>'
        f'<time class="log__time">{escape(line.time[11:23])}</time>'
        f'<span class="log__text">{html}</span></div>'
    )
