"""Where a markdown text has its headings and code fences, line by line as CommonMark sees them.

Lines end at \\n alone, so that joining them again gives the very same text: History is rewritten by this.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

OPENING = re.compile(r" {0,3}(`{3,}|~{3,})(.*)", re.DOTALL)
HEADING = re.compile(r" {0,3}(#{1,6})(?![^ \t\r])")
# Each is an object: a file of nothing else would hold up every listing for seconds.
MOST_MARKS = 30_000
HISTORY = "History"
SECTIONS = (
    "Environment Requirements",
    "File System Requirements",
    "Required Claims",
    "Settings",
    "Script",
    HISTORY,
)


class TooManyMarks(Exception):
    """The text has more headings and code fences than anybody reads; line is where the limit is passed."""

    def __init__(self, line: int):
        super().__init__(f"there are more than {MOST_MARKS} headings and code fences.")
        self.line = line


@dataclass(frozen=True)
class Fence:
    """A fenced block; lines[start:end] of the text are its content, and without a closing line it runs to the end."""

    language: str
    start: int
    end: int
    indent: int
    is_closed: bool


@dataclass(frozen=True)
class Heading:
    level: int
    title: str
    index: int


@dataclass(frozen=True)
class Section:
    """One H1 and what follows it; lines[start:end] of the text are its body."""

    title: str
    start: int
    end: int

    @property
    def line(self) -> int:
        """The heading's line, counted from 1."""
        return self.start


@dataclass(frozen=True)
class Outline:
    lines: list[str]
    headings: list[Heading]
    fences: list[Fence]

    @cached_property
    def sections(self) -> list[Section]:
        """What the H1s divide the text into, in order; the titles of SECTIONS are spelled as there."""
        tops = [heading for heading in self.headings if heading.level == 1]
        ends = [heading.index for heading in tops[1:]] + [len(self.lines)]
        return [Section(known_title(top.title), top.index + 1, end) for top, end in zip(tops, ends, strict=False)]

    def history(self) -> Section | None:
        """The last section named History: if an author has two, runs are appended to that one."""
        return next((section for section in reversed(self.sections) if section.title == HISTORY), None)

    def fences_in(self, section: Section) -> list[Fence]:
        return [fence for fence in self.fences if section.start < fence.start <= section.end]

    def body(self, section: Section) -> str:
        return "\n".join(self.lines[section.start : section.end])

    def content(self, fence: Fence) -> str:
        """The text inside, with \\n line ends and without the indentation of the fence itself."""
        lines = [line.removesuffix("\r") for line in self.lines[fence.start : fence.end]]
        return "".join(f"{_unindented(line, fence.indent)}\n" for line in lines)

    def prose(self) -> Iterator[tuple[int, str]]:
        """The lines outside of code fences, each with its index."""
        index = 0
        for fence in self.fences:
            yield from enumerate(self.lines[index : fence.start - 1], index)
            index = fence.end + 1
        yield from enumerate(self.lines[index:], index)


def outline(text: str) -> Outline:
    """Find headings and fences in one pass; a # inside a fence is no heading. TooManyMarks ends it early."""
    lines, headings, fences = text.split("\n"), [], []
    opened: re.Match[str] | None = None
    start = 0
    for index, line in enumerate(lines):
        # An editor may put a byte order mark before the first heading.
        line = line if index else line.removeprefix("\ufeff")
        if opened:
            if opened[1] in line and _closes(line, opened[1]):
                fences.append(_fence(opened, start, index, is_closed=True))
                opened = None
        elif not line.lstrip(" ").startswith(("#", "`", "~")):
            continue
        elif opened := _opening(line):
            start = index + 1
        elif match := HEADING.match(line):
            headings.append(Heading(len(match[1]), _title(line[match.end() :]), index))
        if len(headings) + len(fences) > MOST_MARKS:
            raise TooManyMarks(index + 1)
    if opened:
        fences.append(_fence(opened, start, len(lines), is_closed=False))
    return Outline(lines, headings, fences)


def known_title(title: str) -> str:
    """The title as SECTIONS spells it, whatever its case and spaces; any other is left as it is."""
    # Titles can be megabytes long in a hostile file; none of ours is.
    words = " ".join(title.split()).casefold() if len(title) < 100 else ""
    return next((known for known in SECTIONS if known.casefold() == words), title)


def _opening(line: str) -> re.Match[str] | None:
    match = OPENING.match(line)
    # A line such as ```code``` is a code span within a paragraph.
    return None if match and match[1][0] == "`" and "`" in match[2] else match


def _closes(line: str, opening: str) -> bool:
    mark = line.strip(" \t\r")
    indent = len(line) - len(line.lstrip(" "))
    return len(mark) >= len(opening) and indent <= 3 and not mark.strip(opening[0])


def _fence(opened: re.Match[str], start: int, end: int, *, is_closed: bool) -> Fence:
    info = opened[2].split(maxsplit=1)
    language = info[0].strip("{}.").lower() if info else ""
    return Fence(language, start, end, opened.start(1) - opened.start(), is_closed)


def _title(rest: str) -> str:
    title = rest.strip(" \t\r")
    bare = title.rstrip("#")
    return bare.rstrip(" \t") if not bare or bare[-1] in " \t" else title


def _unindented(line: str, indent: int) -> str:
    return line[min(indent, len(line) - len(line.lstrip(" "))) :]
