"""What a runbook's page shows of its file: the prose, the script, the whole text, and each problem where it is."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

from runbooks.document.highlight import Highlighter, with_wrong_lines
from runbooks.document.prose import Prose, prose
from runbooks.document.render import LONGEST_RENDERED, render
from runbooks.document.runbook import Problem, Script, Severity
from runbooks.library import LibraryRunbook

ENVIRONMENT = "Environment Requirements"
SCRIPT = "Script"

Wrong = tuple[tuple[int, Severity], ...]  # lines, each with the worst that is to say of it


@dataclass(frozen=True)
class Code:
    """A text with its highlighting, and the numbers of its lines."""

    html: SafeString
    language: str
    count: int

    @property
    def numbers(self) -> str:
        return "\n".join(str(number) for number in range(1, self.count + 1))


@dataclass(frozen=True)
class Shown:
    """A problem with the number by which the page's summary links to where it is."""

    number: int
    problem: Problem


def shown_of(runbook: LibraryRunbook, *, has_form: bool) -> dict[str, Any]:
    """What the page's template needs of the file; without a form, the variables are told by their yaml block."""
    problems = [Shown(number, problem) for number, problem in enumerate(runbook.problems, 1)]
    text = prose(
        runbook.source,
        name=runbook.runbook.name,
        problems=[problem for problem in runbook.problems if not _is_of_script(runbook, problem)],
        kept=() if has_form or not runbook.runbook.requirements else (ENVIRONMENT,),
    )
    below = _below(text, [shown for shown in problems if not _is_of_script(runbook, shown.problem)])
    in_script = [shown for shown in problems if _is_of_script(runbook, shown.problem)]
    placed = {shown.number for shown in in_script}.union(*({s.number for s in there} for there in below.values()))
    return {
        "documentation": _html(
            text.text,
            tuple((line, _problems_html(there)) for line, there in below.items()),
            _wrong(problems),
        ),
        "script": _script(runbook.runbook.script, _wrong(in_script)),
        "script_problems": in_script,
        "whole": _whole(runbook.runbook.documentation),
        "problems": [(shown, shown.number in placed) for shown in problems],
    }


def _is_of_script(runbook: LibraryRunbook, problem: Problem) -> bool:
    return runbook.runbook.script is not None and problem.section == SCRIPT and problem.line > 1


def _below(text: Prose, problems: list[Shown]) -> dict[int, list[Shown]]:
    """The problems by the line of the heading below which each is to stand."""
    below: dict[int, list[Shown]] = {}
    for shown in problems:
        if line := text.heading_of(shown.problem):
            below.setdefault(line, []).append(shown)
    return below


def _wrong(problems: list[Shown]) -> Wrong:
    """The lines with problems; one that has both a warning and an error is an error."""
    by_line = dict.fromkeys((shown.problem.line for shown in problems), "warning")
    by_line |= {shown.problem.line: "error" for shown in problems if shown.problem.severity == "error"}
    return tuple(by_line.items())


def _problems_html(problems: list[Shown]) -> str:
    return render_to_string("runbooks/_problems_here.html", {"problems": problems})


@lru_cache(maxsize=128)
def _html(markdown: str, below: tuple[tuple[int, str], ...], wrong: Wrong) -> str:
    return render(markdown, ids="doc", has_links=True, below=dict(below), wrong=dict(wrong))


def _script(script: Script | None, wrong: Wrong) -> Code | None:
    if script is None:
        return None
    within = tuple((line - script.line + 1, severity) for line, severity in wrong)
    return code_of(script.text, script.language or "sh", within)


def _whole(text: str) -> Code | None:
    # A longer one is shown as it is in place of the prose already.
    return code_of(text, "markdown") if len(text) <= LONGEST_RENDERED else None


@lru_cache(maxsize=64)
def code_of(text: str, language: str, wrong: Wrong = ()) -> Code:
    """The text as a page shows it; lines that are wrong are marked."""
    html = Highlighter().html(text, language)
    marked = with_wrong_lines(html, dict(wrong)) if wrong else html
    return Code(mark_safe(marked), language, text.count("\n") + (not text.endswith("\n")))  # noqa: S308 - escaped
