"""What a runbook says, as plain values; reading them from a file is parse.py's."""

from dataclasses import dataclass
from typing import Literal

LARGEST_FILE = 1024 * 1024
Severity = Literal["error", "warning"]

SECRET_WORDS = ("TOKEN", "SECRET", "PASSWORD", "KEY", "CREDENTIAL")
TYPES = ("text", "multiline", "number", "boolean", "choice", "multichoice", "date", "file", "secret")


def looks_secret(name: str) -> bool:
    """Whether a variable of this name holds a secret, whatever its runbook says."""
    return any(word in name.upper() for word in SECRET_WORDS)


@dataclass(frozen=True)
class Problem:
    """Something that the runbook's author should mend; an error forbids a run."""

    section: str
    line: int
    message: str
    severity: Severity = "error"

    def __str__(self) -> str:
        return f"line {self.line}, {self.section}: {self.message}"


@dataclass(frozen=True)
class Requirement:
    """A variable that the script needs; a type of secret is stored as text with secret set.

    The value of a multichoice is the chosen ones in the order of the choices, one a line.
    """

    name: str
    description: str = ""
    type: str = "text"
    default: str = ""
    choices: tuple[str, ...] = ()
    pattern: str = ""
    required: bool = True
    secret: bool = False

    def __post_init__(self) -> None:
        if self.type == "secret" or looks_secret(self.name):
            object.__setattr__(self, "secret", True)
        if self.type == "secret":
            object.__setattr__(self, "type", "text")


@dataclass(frozen=True)
class Script:
    """The text to run, with \\n line ends; line is where its first line stands in the file."""

    text: str
    language: str
    line: int


@dataclass(frozen=True)
class Settings:
    timeout: int | None = None
    concurrency: int | None = None
    confirm: bool = False


@dataclass(frozen=True)
class Runbook:
    """One runbook file, read; what could not be read is in problems."""

    name: str
    summary: str
    documentation: str
    requirements: tuple[Requirement, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    claims: dict[str, tuple[str, ...]]
    settings: Settings
    script: Script | None
    history: str
    problems: tuple[Problem, ...]

    def requirement(self, name: str) -> Requirement | None:
        return next((requirement for requirement in self.requirements if requirement.name == name), None)

    @property
    def files(self) -> tuple[Requirement, ...]:
        """What is asked for as a file."""
        return tuple(requirement for requirement in self.requirements if requirement.type == "file")

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")
