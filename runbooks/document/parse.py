"""From a runbook file's bytes to a Runbook; whatever is wrong becomes a Problem, never an exception."""

from collections.abc import Callable
from difflib import SequenceMatcher
from typing import TypeVar

from runbooks.document import fields
from runbooks.document.block import Block
from runbooks.document.outline import HISTORY, SECTIONS, Outline, Section, TooManyMarks, known_title, outline
from runbooks.document.render import plain
from runbooks.document.runbook import Problem, Runbook, Script, Settings, Severity

REQUIRED = ("Environment Requirements", "File System Requirements", "Script")
MOST_SECTIONS = 200
MOST_PROBLEMS = 100
SHORTEST_TITLE = min(len(title) for title in SECTIONS)
Value = TypeVar("Value")


def parse(source: bytes, *, name: str) -> Runbook:
    """Read a runbook; name is the file's name without .md."""
    try:
        return _Reading(source, name).runbook()
    except TooManyMarks as many:
        return unreadable(str(many), name=name, line=many.line)


def unreadable(message: str, *, name: str, line: int = 1) -> Runbook:
    """A runbook of which nothing is known, not even who may see it, but what is wrong with its file."""
    problem = Problem("File", line, message)
    return Runbook(name, "", "", (), (), (), {}, Settings(), None, "", (problem,))


def without_history(source: bytes) -> str:
    """The runbook as text with \\n line ends, without its History: what its author wrote and the database keeps."""
    # PostgreSQL stores no NUL.
    try:
        found = outline(_decoded(source))
    except TooManyMarks:
        return ""
    return _without_history(found).replace("\0", "\ufffd")


class _Reading:
    def __init__(self, source: bytes, name: str):
        self.name = name
        self.problems: list[Problem] = []
        self.outline = outline(_decoded(source))
        self.sections = self.outline.sections
        self._check_encoding(source)
        self._check_fences()
        self._check_sections()

    def runbook(self) -> Runbook:
        title = self._title()
        requirements = self._block("Environment Requirements", fields.requirements, default=())
        files = self._block("File System Requirements", fields.files, default={})
        claims = self._block("Required Claims", fields.claims, default={})
        settings = self._block("Settings", fields.settings, default=Settings())
        script = self._script()
        history = self.outline.history()
        return Runbook(
            name=self.name,
            summary=plain(self.outline.body(title)) if title else "",
            documentation=_without_history(self.outline),
            requirements=requirements,
            inputs=files.get("Input", ()),
            outputs=files.get("Output", ()),
            claims=claims,
            settings=settings,
            script=script,
            history=self.outline.body(history).replace("\r\n", "\n").strip("\n") if history else "",
            problems=_the_first(self.problems),
        )

    def _report(self, section: str, line: int, message: str, severity: Severity = "error") -> None:
        self.problems.append(Problem(section, line, message, severity))

    def _check_encoding(self, source: bytes) -> None:
        try:
            source.decode()
        except UnicodeDecodeError as error:
            line = source.count(b"\n", 0, error.start) + 1
            self._report("File", line, f"the byte {source[error.start]:#04x} is not valid UTF-8.")
        if (place := source.find(b"\0")) >= 0:
            self._report("File", source.count(b"\n", 0, place) + 1, "there is a NUL byte here.")

    def _check_fences(self) -> None:
        history = self.outline.history()
        for fence in self.outline.fences:
            if not fence.is_closed:
                in_history = history is not None and history.start < fence.start <= history.end
                # Outside of History, an open fence may hide any section, also the one that says who may see this.
                section, severity = (HISTORY, "warning") if in_history else ("File", "error")
                self._report(section, fence.start, "this code fence is never closed.", severity)

    def _check_sections(self) -> None:
        titles = [section.title for section in self.sections]
        for title in REQUIRED:
            if title not in titles:
                self._report(title, 1, f"the section is missing; add `# {title}`.")
        if HISTORY in titles and titles[-1] != HISTORY:
            line = next(section.line for section in self.sections if section.title == HISTORY)
            self._report(HISTORY, line, "this must be the last section; move it to the end.")
        for index, section in enumerate(self.sections[:MOST_SECTIONS]):
            if section.title in SECTIONS and section.title in titles[:index]:
                self._report(section.title, section.line, "this section is there twice; keep one.")
        if len(self.sections) > MOST_SECTIONS:
            line = self.sections[MOST_SECTIONS].line
            self._report("File", line, f"there are more than {MOST_SECTIONS} sections; use ## for smaller headings.")
        self._check_lookalikes()

    def _check_lookalikes(self) -> None:
        """Report what a reader takes for one of our sections and we do not, above all a Required Claims."""
        h1s = {section.start - 1 for section in self.sections}
        history = self.outline.history()
        end = history.start if history else len(self.outline.lines)
        for index, line in self.outline.prose():
            if len(line) < SHORTEST_TITLE or index in h1s or index >= end:
                continue
            if not (line.lstrip().startswith("#") or self._is_underlined(index)):
                continue
            title = known_title(line.strip("# \t\r"))
            if title in SECTIONS:
                severity = "error" if title == "Required Claims" else "warning"
                self._report(title, index + 1, f"this is read as text, not as a section; write `# {title}`.", severity)
        for section in self._unknown_sections()[:MOST_SECTIONS]:
            near = _nearest(section.title)
            if near and section.title != self.name:
                severity = "error" if near == "Required Claims" else "warning"
                self._report(near, section.line, f"{section.title!r} is not known; did you mean `# {near}`?", severity)

    def _is_underlined(self, index: int) -> bool:
        below = self.outline.lines[index + 1].strip() if index + 1 < len(self.outline.lines) else ""
        return below != "" and not below.strip("=")

    def _unknown_sections(self) -> list[Section]:
        return [section for section in self.sections if section.title not in SECTIONS]

    def _title(self) -> Section | None:
        """The section that is named like the file, or else the first one with a name that is the author's."""
        unknown = self._unknown_sections()
        if not unknown:
            self._report("File", 1, f"there is no heading with the runbook's name; begin with `# {self.name}`.")
            return None
        if named := next((section for section in unknown if section.title == self.name), None):
            return named
        message = f"the heading {unknown[0].title[:100]!r} differs from the file's name, {self.name!r}."
        self._report(unknown[0].title[:100], unknown[0].line, message, "warning")
        return unknown[0]

    def _section(self, title: str) -> Section | None:
        return next((section for section in self.sections if section.title == title), None)

    def _block(self, title: str, read: Callable[[Block], Value], *, default: Value) -> Value:
        section = self._section(title)
        return read(Block(self.outline, section, self.problems)) if section else default

    def _script(self) -> Script | None:
        section = self._section("Script")
        if not section:
            return None
        fences = self.outline.fences_in(section)
        if not fences:
            self._report("Script", section.line, "there is no code block; put the script between ```sh and ```.")
            return None
        if len(fences) > 1:
            self._report("Script", fences[1].start, "there is more than one code block; keep one.")
            return None
        text = self.outline.content(fences[0])
        if not text.strip():
            self._report("Script", fences[0].start, "the script is empty.")
            return None
        return Script(text, fences[0].language, fences[0].start + 1)


def _decoded(source: bytes) -> str:
    return source.decode("utf-8", "replace").removeprefix("\ufeff")


def _without_history(outline: Outline) -> str:
    sections = outline.sections
    lines = outline.lines[: sections[0].start - 1] if sections else list(outline.lines)
    for section in sections:
        if section.title != HISTORY:
            lines += outline.lines[section.start - 1 : section.end]
    # The last line that stays still has its end if History came after it.
    end = "\n" if sections and sections[-1].title == HISTORY and lines else ""
    return ("\n".join(lines) + end).replace("\r\n", "\n")


def _the_first(problems: list[Problem]) -> tuple[Problem, ...]:
    """The problems by line; of a great many the first, errors before warnings, for these decide who sees what."""
    kept = sorted(problems, key=lambda problem: (problem.severity, problem.line))[:MOST_PROBLEMS]
    if len(problems) > MOST_PROBLEMS:
        message = f"these are the first {MOST_PROBLEMS} problems of {len(problems)}; mend them to see the others."
        kept.append(Problem("File", 1, message))
    return tuple(sorted(kept, key=lambda problem: problem.line))


def _nearest(title: str) -> str | None:
    """The section whose name this title nearly is, such as `Required Claim`."""
    if len(title) > 40:
        return None
    ratios = {known: SequenceMatcher(None, title.casefold(), known.casefold()).ratio() for known in SECTIONS}
    best = max(ratios, key=lambda known: ratios[known])
    return best if ratios[best] >= 0.85 else None
