"""How this server is configured, as people and programs may see it: each variable and its source, no secret."""

from dataclasses import dataclass

from runbookweb.env import VARIABLES, Configuration, Variable

# By what one looks for; what begins with none of these words is of the last group.
GROUPS = {
    "Address": ("BIND_", "API_", "ALLOWED_", "TRUSTED_"),
    "Folders": ("RUNBOOKS_", "DATA_", "EXECUTION_DIR", "MOUNT_"),
    "Sign-in": ("ENABLE_LOGIN", "SECRET_", "JWT_", "IDP_", "OIDC_"),
    "Scripts": ("SCRIPT_", "MAX_", "EXECUTION_"),
    "History": ("RUN_", "HISTORY_"),
    "This server": ("",),
}


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


def grouped(configuration: Configuration) -> dict[str, list[Item]]:
    """The same by group, each once."""
    groups: dict[str, list[Item]] = {group: [] for group in GROUPS}
    for item in items(configuration):
        groups[_group(item.variable.name)].append(item)
    return groups


def _group(name: str) -> str:
    return next(group for group, beginnings in GROUPS.items() if name.startswith(beginnings))


def _shown(value: object, variable: Variable) -> str:
    if value in (None, "", ()):
        return ""
    if variable.secret:
        return "***"
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(value) if isinstance(value, tuple) else str(value)
