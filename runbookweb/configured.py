"""How this server is configured, as people and programs may see it: each variable and its source, no secret."""

from dataclasses import dataclass

from runbookweb.env import VARIABLES, Configuration, Variable


@dataclass(frozen=True)
class Item:
    """One variable, with its value as text: empty if it is not set, *** if it is secret."""

    variable: Variable
    value: str
    source: str


def items(configuration: Configuration) -> list[Item]:
    """Every variable that there is."""
    return [
        Item(variable, _shown(getattr(configuration, variable.name), variable), configuration.source(variable))
        for variable in VARIABLES
    ]


def _shown(value: object, variable: Variable) -> str:
    if value in (None, "", ()):
        return ""
    if variable.secret:
        return "***"
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(value) if isinstance(value, tuple) else str(value)
