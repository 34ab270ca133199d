"""Which variables a script may get, and which values fit what a runbook asks for."""

import re
from collections.abc import Mapping
from datetime import date

from runbooks.document.patterns import Patterns, TooSlow
from runbooks.document.runbook import Requirement, Runbook

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
# Each of these makes a shell, an interpreter or the loader run or load something before the script's first line.
REFUSED_NAMES = (
    *("PATH", "IFS", "ENV", "SHELLOPTS", "BASHOPTS", "PS4", "PROMPT_COMMAND", "ZDOTDIR", "FPATH"),
    *("GCONV_PATH", "GLIBC_TUNABLES", "PERLLIB", "RUBYOPT", "RUBYLIB", "NODE_OPTIONS", "NODE_PATH"),
    *("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"),
)
REFUSED_BEGINNINGS = ("LD_", "DYLD_", "BASH_", "PYTHON", "PERL5", "GIT_")

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)", re.ASCII)
DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on", "1"), "true"),
    **dict.fromkeys(("false", "no", "off", "0"), "false"),
}
NEEDED = {"multichoice": "choose at least one.", "file": "a file is needed."}
LARGEST_VALUE = 32 * 1024
LARGEST_TOTAL = 256 * 1024
MOST_STRAYS = 100  # a run keeps a warning for each, and lists of runs show them


class InvalidValues(Exception):
    """Some values cannot be given to the script; errors says why, by name, and never repeats a value."""

    def __init__(self, errors: dict[str, str]):
        super().__init__("; ".join(f"{name}: {message}" for name, message in errors.items()))
        self.errors = errors


def strays(runbook: Runbook, given: Mapping[str, str]) -> tuple[Requirement, ...]:
    """The variables that are given although the runbook does not ask for them; scripts get those, too."""
    return tuple(Requirement(name, required=False) for name in given if not runbook.requirement(name))


def stray_warnings(runbook: Runbook, given: Mapping[str, str]) -> list[str]:
    """A sentence about each variable that a script gets although its runbook does not ask for it."""
    return [
        f"{stray.name}: the runbook does not ask for this; the script gets it."
        for stray in strays(runbook, given)
        if not is_refused_name(stray.name)
    ]


def checked_values(runbook: Runbook, given: Mapping[str, str], *, provided: Mapping[str, str] = {}) -> dict[str, str]:
    """The values that the script gets: each as given, or else as the server provides it (left out), or its default."""
    unasked = strays(runbook, given)
    if len(unasked) > MOST_STRAYS:
        raise InvalidValues(
            {unasked[MOST_STRAYS].name: f"the runbook does not ask for this, nor for {MOST_STRAYS} others."}
        )
    asked = {requirement.name: requirement for requirement in (*runbook.requirements, *unasked)}
    errors = {stray.name: problem for stray in unasked if (problem := _stray_problem(stray.name, provided))}
    values: dict[str, str] = {}
    patterns = Patterns()
    total = 0
    for name, requirement in asked.items():
        if name in errors:
            continue
        if not given.get(name) and name in provided:
            continue
        value = normal(requirement, _given(requirement, given))
        total += len(value.encode("utf-8", "replace"))
        if message := _misfit_in_time(requirement, value, patterns):
            errors[name] = message
        elif total > LARGEST_TOTAL:
            errors[name] = "with this value all values together are larger than 256 KiB."
        values[name] = value
    if errors:
        raise InvalidValues(errors)
    return values


def _given(requirement: Requirement, given: Mapping[str, str]) -> str:
    # Who unticks every box means none of them, and must not get those that were ticked at first.
    if requirement.type == "multichoice" and requirement.name in given:
        return given[requirement.name]
    return given.get(requirement.name) or requirement.default


def normal(requirement: Requirement, value: str) -> str:
    """The value as a script expects it: browsers send CRLF from a text area, and `on` for a ticked box."""
    if requirement.type == "multiline":
        return value.replace("\r\n", "\n")
    if requirement.type == "multichoice":
        return _in_order(requirement.choices, lines(value))
    if requirement.type == "boolean":
        return BOOLEANS.get(value.lower(), value)
    return value


def lines(value: str) -> list[str]:
    """What is chosen, of the value of a multichoice."""
    return [line for line in value.replace("\r\n", "\n").split("\n") if line]


def is_one_line(text: str) -> bool:
    """Whether a text can be one line of several."""
    return bool(text) and "\n" not in text and "\r" not in text


def _in_order(choices: tuple[str, ...], chosen: list[str]) -> str:
    unknown = [line for line in chosen if line not in choices]
    return "\n".join([*(choice for choice in dict.fromkeys(choices) if choice in chosen), *unknown])


def misfit(requirement: Requirement, value: str, patterns: Patterns) -> str | None:
    """Why the value does not fit the requirement, as a sentence, or None; TooSlow if its pattern cannot tell."""
    if not value:
        return NEEDED.get(requirement.type, "a value is needed.") if requirement.required else None
    if "\0" in value:
        return "a value cannot contain a NUL character."
    if any("\ud800" <= char <= "\udfff" for char in value):
        return "the value is not valid Unicode."
    if len(value.encode()) > LARGEST_VALUE:
        return "the value is larger than 32 KiB."
    return _misfit_of_type(requirement, value, patterns)


def _misfit_in_time(requirement: Requirement, value: str, patterns: Patterns) -> str | None:
    try:
        return misfit(requirement, value, patterns)
    except TooSlow:
        return "the pattern takes too long to check with this value; the runbook needs a simpler one."


def _misfit_of_type(requirement: Requirement, value: str, patterns: Patterns) -> str | None:
    if requirement.choices and not set(_chosen(requirement, value)) <= set(requirement.choices):
        how = "among" if requirement.type == "multichoice" else "one of"
        return f"choose {how}: {', '.join(requirement.choices)}."
    if requirement.type == "number" and not NUMBER.fullmatch(value):
        return "this must be a number, such as 5 or 0.25."
    if requirement.type == "boolean" and value not in ("true", "false"):
        return "this must be true or false."
    if requirement.type == "date" and not _is_date(value):
        return "this must be a day of the calendar, such as 2026-11-22."
    if requirement.pattern and not all(patterns.fit(requirement.pattern, one) for one in _chosen(requirement, value)):
        return f"this does not fit the pattern {requirement.pattern}"
    return None


def _chosen(requirement: Requirement, value: str) -> list[str]:
    return lines(value) if requirement.type == "multichoice" else [value]


def _is_date(value: str) -> bool:
    try:
        return bool(DATE.fullmatch(value) and date.fromisoformat(value))
    except ValueError:
        return False


def _stray_problem(name: str, provided: Mapping[str, str]) -> str | None:
    if name in provided:
        # Whoever may set a host for which the server provides the password could have it sent to a host of their own.
        return "the server sets this, and the runbook does not ask for it."
    refusal = is_refused_name(name)
    return f"the name {refusal}." if refusal else None


def is_refused_name(name: str) -> str | None:
    """Why no variable may have this name, as a sentence about it, or None."""
    if not NAME.fullmatch(name):
        return "is no name for a variable: use letters, digits and _, a letter first, at most 128 characters"
    if name.startswith("RUNBOOK_"):
        return "is refused: names that begin with RUNBOOK_ are set by the server"
    if name in REFUSED_NAMES or name.startswith(REFUSED_BEGINNINGS):
        return "is refused: it could make an interpreter run something else before the script"
    return None
