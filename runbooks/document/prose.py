"""What stays of a runbook's text beside its form and its script: the author's words, each in the line where it was.

A yaml block that is read well says nothing that form and facts do not say better; a broken one is shown to be mended.
"""

from collections.abc import Collection
from dataclasses import dataclass

from runbooks.document.outline import HISTORY, SECTIONS, Fence, Outline, Section, TooManyMarks, outline
from runbooks.document.runbook import Problem


@dataclass(frozen=True)
class Prose:
    """Markdown whose lines are those of the file, empty where something was left out, and its sections."""

    text: str = ""
    sections: tuple[Section, ...] = ()

    def heading_of(self, problem: Problem) -> int | None:
        """The line of the heading below which this problem belongs; None if that section is not shown."""
        lines = [section.line for section in self.sections if section.line <= problem.line <= section.end]
        return lines[0] if lines else None


def prose(source: bytes, *, name: str, problems: Collection[Problem] = (), kept: Collection[str] = ()) -> Prose:
    """The text without its title, its History, and the blocks of the sections that are in order and not to be kept."""
    try:
        found = outline(source.decode("utf-8", "replace").removeprefix("\ufeff"))
    except TooManyMarks:
        return Prose()
    lines = [line.removesuffix("\r") for line in found.lines]
    shown = []
    for section in found.sections:
        if section.title == HISTORY:
            _blank(lines, section.start - 1, section.end)
        elif section.title in SECTIONS and section.title not in kept and not _is_wrong(section, problems):
            _without_blocks(lines, found, section)
        elif section.title == name:
            # The page is headed with it already.
            _blank(lines, section.start - 1, section.start)
        if lines[section.start - 1]:
            shown.append(section)
    return Prose("\n".join(lines), tuple(shown))


def _is_wrong(section: Section, problems: Collection[Problem]) -> bool:
    # The page shows a script with what is wrong in it as a block of its own; one that could not be read has none.
    return any(section.line <= problem.line <= section.end for problem in problems)


def _without_blocks(lines: list[str], found: Outline, section: Section) -> None:
    for fence in found.fences_in(section):
        _blank(lines, fence.start - 1, _end(fence))
    if not any(line.strip() for line in lines[section.start : section.end]):
        _blank(lines, section.start - 1, section.start)


def _end(fence: Fence) -> int:
    return fence.end + 1 if fence.is_closed else fence.end


def _blank(lines: list[str], start: int, end: int) -> None:
    end = min(end, len(lines))
    lines[start:end] = [""] * (end - start)
