"""Whether a runbook can run on this machine: its interpreter, its input files, and the values it is given."""

import os
import re
import shlex
import shutil
from pathlib import Path

from runbooks.document.inputs import MOST_FILES, TOO_MANY, BadInput, files_of_input, input_files
from runbooks.document.outline import Outline, outline
from runbooks.document.runbook import Problem, Runbook, Script
from runbooks.document.values import InvalidValues, checked_values, is_refused_name, stray_warnings, strays

__all__ = [
    "BadInput",
    "InvalidValues",
    "NoInterpreter",
    "checked_values",
    "input_files",
    "interpreter",
    "is_refused_name",
    "stray_warnings",
    "strays",
    "validate",
]

INTERPRETERS = {
    **{name: name for name in ("sh", "bash", "dash", "ksh", "zsh", "fish", "python3", "perl", "ruby", "node", "php")},
    "shell": "sh",
    "python": "python3",
    "py": "python3",
    "javascript": "node",
    "js": "node",
}
# The kernel reads no more of a script's first line.
LONGEST_SHEBANG = 255


class NoInterpreter(Exception):
    """The script cannot run on this machine; str() is a sentence that names the interpreter that it lacks."""


def validate(runbook: Runbook, *, folder: Path, root: Path) -> tuple[Problem, ...]:
    """All that is wrong with the runbook here and now, by line; it may run if none of it is an error."""
    problems = [*runbook.problems, *_interpreter_problems(runbook), *_input_problems(runbook, folder, root)]
    return tuple(sorted(problems, key=lambda problem: problem.line))


def interpreter(script: Script) -> list[str]:
    """What to put before the script's path: as the kernel reads its shebang, or else by the fence's language."""
    first_line = script.text.partition("\n")[0]
    if first_line.startswith("#!"):
        return _by_shebang(first_line)
    if not script.language:
        raise NoInterpreter("Begin the script with `#!` and an interpreter, or name a language after the ```.")
    if script.language not in INTERPRETERS:
        raise NoInterpreter(
            f"No interpreter is known for {script.language[:50]!r}; begin the script with `#!` and an interpreter."
        )
    name = INTERPRETERS[script.language]
    if not (path := shutil.which(name)):
        raise NoInterpreter(f"{name} is not installed on this machine.")
    return [path]


def _by_shebang(line: str) -> list[str]:
    if len(line.encode("utf-8", "replace")) > LONGEST_SHEBANG:
        raise NoInterpreter(f"The line with #! is longer than {LONGEST_SHEBANG} bytes.")
    path, *argument = re.split(r"[ \t]+", line[2:].strip(" \t"), maxsplit=1)
    if not path.startswith("/"):
        raise NoInterpreter(f"After #! an absolute path is needed, not {path!r}.")
    if not _is_program(path):
        raise NoInterpreter(f"{path} is not installed on this machine.")
    if argument and Path(path).name == "env":
        _check_program_of_env(argument[0])
    return [path, *argument]


def _is_program(path: str) -> bool:
    try:
        return Path(path).is_file() and os.access(path, os.X_OK)
    except (OSError, ValueError):
        return False


def _check_program_of_env(argument: str) -> None:
    """Refuse what env would look for in vain: it takes its argument as one name, unless that begins with -S."""
    if argument.startswith("-S"):
        words = _words(argument.removeprefix("-S"))
        name = next((word for word in words if "=" not in word and not word.startswith("-")), "")
    elif argument.startswith("-") or "=" in argument:
        return
    else:
        name = argument
    if not name or "\0" in name or not shutil.which(name):
        hint = "; write `env -S` to give it arguments" if " " in name else ""
        raise NoInterpreter(f"{name or 'The program after env -S'} is not installed on this machine{hint}.")


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return []


def _interpreter_problems(runbook: Runbook) -> list[Problem]:
    if not runbook.script:
        return []
    try:
        interpreter(runbook.script)
    except NoInterpreter as missing:
        return [Problem("Script", runbook.script.line, str(missing))]
    return []


def _input_problems(runbook: Runbook, folder: Path, root: Path) -> list[Problem]:
    files = 0
    bad_inputs = []
    for path in runbook.inputs:
        try:
            for _ in files_of_input(path, folder=folder, root=root):
                files += 1
                if files > MOST_FILES:
                    raise BadInput(path, TOO_MANY)
        except BadInput as bad:
            bad_inputs.append(bad)
        if files > MOST_FILES:
            break
    found = outline(runbook.documentation) if bad_inputs else None
    return [Problem("File System Requirements", _line_of(found, bad.path), str(bad)) for bad in bad_inputs]


def _line_of(found: Outline, path: str) -> int:
    """Where the File System Requirements name this path; the section's own line if it is spelled with escapes there."""
    section = next((section for section in found.sections if section.title == "File System Requirements"), None)
    if not section:
        return 1
    lines = range(section.start, section.end)
    return next((index + 1 for index in lines if path in found.lines[index]), section.line)
