"""Runbooks for the tests: a good one, whose parts each test changes."""

from runbooks.document.parse import parse
from runbooks.document.runbook import Problem, Runbook

ENVIRONMENT = "HOST: where to look"
FILES = "Input:"
SCRIPT = "#!/bin/sh\necho hello"


def a_runbook(
    *,
    name: str = "Check",
    environment: str = ENVIRONMENT,
    files: str = FILES,
    script: str = SCRIPT,
    language: str = "sh",
    extra: str = "",
    history: str = "# History\n",
) -> str:
    """A runbook's text; extra stands before the Script."""
    return (
        f"# {name}\nLooks at a host.\n\n"
        f"# Environment Requirements\n```yaml\n{environment}\n```\n\n"
        f"# File System Requirements\n```yaml\n{files}\n```\n\n"
        f"{extra}"
        f"# Script\n```{language}\n{script}\n```\n\n"
        f"{history}"
    )


def section(title: str, block: str) -> str:
    return f"# {title}\n```yaml\n{block}\n```\n\n"


def parsed(text: str | bytes, *, name: str = "Check") -> Runbook:
    return parse(text if isinstance(text, bytes) else text.encode(), name=name)


def only_problem(text: str | bytes) -> Problem:
    """The one problem of this runbook; a test that expects one must not overlook others."""
    (problem,) = parsed(text).problems
    return problem
