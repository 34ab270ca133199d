r"""What a script printed as HTML: colours shown, progress bars in place, everything else made harmless.

Of a terminal's language only SGR (colours, bold ...) is understood, from a fixed table, and `\r`; every other sequence
is dropped and every other control character shown as a picture. Text is escaped before anything is added to it.
"""

import re
from dataclasses import dataclass
from html import escape

from runbooks.document.pictured import pictured

MAX_LINE = 16 * 1024
SEQUENCE = re.compile(
    r"\x1b\[([0-9;:]{0,100})m"  # SGR, the one that is kept
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # any other CSI
    r"|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)"  # OSC (window titles, links), DCS and the like, if they end
    r"|\x1b[ -/]*[0-Z\\^-~]"
    r"|\x1b"
)
SGR = re.compile(rb"\x1b\[([0-9;:]{0,100})m")
# Who cannot see the colour is told by a word.
KINDS = {"stdout": ("", ""), "stderr": (" log__line--stderr", '<span class="visually-hidden">stderr: </span>')}
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

    def after(self, content: bytes) -> "Style":
        """The style after this content."""
        if b"\x1b" not in content:
            return self
        style = self.copy()
        found = SGR.findall(content, max(0, content.rfind(b"\x1b[0m"), content.rfind(b"\x1b[m")))
        # Each sequence sets what it sets, whatever was there: of those that are the same, only the last one matters.
        for parameters in reversed(dict.fromkeys(reversed(found))):
            style.apply(parameters.decode())
        return style

    def copy(self) -> "Style":
        copy = Style()
        copy.foreground, copy.background, copy.attributes = self.foreground, self.background, self.attributes
        return copy

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


def visible(text: str) -> str:
    r"""What can be seen of these lines: no colours, and not what a `\r` has made an end of."""
    if "\r" in text:
        text = "\n".join(map(_last_on_the_line, text.split("\n")))
    return SEQUENCE.sub("", text) if "\x1b" in text else text


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
    text = escape(pictured(text), quote=False)
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
            self.style = self.style.after(self.content + content[:start])
            self.content, self.size = b"", 0
            content = content[start:]
        self.size += len(content)
        self.content += content[: MAX_LINE - len(self.content)]

    def html(self) -> str:
        """The line as a row of the log; its style is then the one after it."""
        if b"\x1b" in self.content:
            self.style = self.style.copy()
        return _row(self, line_html(self.content.decode("utf-8", "replace"), self.style))


def _row(line: Line, html: str) -> str:
    number = line.number
    kind, said = KINDS[line.stream]
    if line.size > MAX_LINE:
        html += f'<span class="log__more">… {line.size - MAX_LINE:,} more bytes: see the whole log</span>'
    time = escape(line.time)
    when = f' datetime="{time}"' if time else ""  # there is none in a line that only another program can have written
    # The numbers are no tab stops: hundreds of them would stand between the log and what comes after it.
    return (
        f'<div class="log__line{kind}" id="L{number}">'
        f'<a class="log__number" href="#L{number}" tabindex="-1">{number}</a>'
        f'<time class="log__time"{when}>{time[11:23]}</time>{said}<span class="log__text">{html}</span></div>'
    )
