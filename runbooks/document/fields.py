"""What each yaml block means: requirements, files, claims and settings."""

from dataclasses import replace

import yaml

from runbooks.document.block import Block, is_empty
from runbooks.document.inputs import refused_path
from runbooks.document.patterns import BadPattern, Patterns, TooSlow
from runbooks.document.runbook import TYPES, Requirement, Settings, looks_secret
from runbooks.document.values import is_one_line, is_refused_name, misfit, normal

REQUIREMENT_KEYS = ("description", "type", "default", "choices", "pattern", "required", "secret")
SETTINGS_KEYS = ("timeout", "concurrency", "confirm")
LONGEST_TIMEOUT = 30 * 24 * 60 * 60
MOST_PATHS = 500
WITH_CHOICES = ("choice", "multichoice")
NOT_OF_A_FILE = ("default", "choices", "pattern")


def requirements(block: Block) -> tuple[Requirement, ...]:
    """The variables that the script needs, without those that could not be set anyway."""
    found = []
    patterns = Patterns()
    for name, (key, value) in block.entries(block.root, shape="one `NAME: description` a line").items():
        if reason := is_refused_name(name):
            block.report(key, f"{name[:128]!r} {reason}.")
        else:
            found.append(_requirement(block, name, value, patterns))
    return tuple(found)


def files(block: Block) -> dict[str, tuple[str, ...]]:
    """The paths below Input and below Output, without those that could lead out of a folder."""
    entries = block.entries(block.root, shape="`Input:` and `Output:`, each with a list of files")
    _report_unknown(block, entries, ("Input", "Output"))
    return {name: _paths(block, entries[name][1]) for name in ("Input", "Output") if name in entries}


def claims(block: Block) -> dict[str, tuple[str, ...]]:
    """Each claim with the values of which the actor needs one."""
    found = {}
    entries = block.entries(block.root, shape="one `claim: value, value` a line")
    if block.root is not None and not entries:
        block.report(block.root, "expected one `claim: value, value` a line.")
    for name, (key, value) in entries.items():
        found[name] = _claim_values(block, value)
        if not name or not all(found[name]) or not found[name]:
            block.report(key, f"{name or 'a claim'} needs a name and at least one value, and no empty ones.")
    return found


def settings(block: Block) -> Settings:
    entries = block.entries(block.root, shape="one `name: value` a line")
    _report_unknown(block, entries, SETTINGS_KEYS)
    nodes = {name: value for name, (_, value) in entries.items()}
    return Settings(
        timeout=_timeout(block, nodes["timeout"]) if "timeout" in nodes else None,
        concurrency=block.whole(nodes["concurrency"]) if "concurrency" in nodes else None,
        confirm=block.flag(nodes["confirm"], default=True) if "confirm" in nodes else False,
    )


def _timeout(block: Block, node: yaml.Node) -> int | None:
    seconds = block.whole(node)
    if seconds and seconds > LONGEST_TIMEOUT:
        block.report(node, f"the timeout is in seconds, and at most {LONGEST_TIMEOUT} (30 days).")
        return None
    return seconds


def _requirement(block: Block, name: str, node: yaml.Node, patterns: Patterns) -> Requirement:
    if isinstance(node, yaml.ScalarNode):
        return Requirement(name, description=block.text(node))
    entries = block.entries(node, shape=f"a description, or a mapping with {', '.join(REQUIREMENT_KEYS)}")
    _report_unknown(block, entries, REQUIREMENT_KEYS)
    nodes = {key: value for key, (_, value) in entries.items()}
    texts = {key: block.text(nodes[key]) for key in ("description", "pattern") if key in nodes}
    type = _type(block, nodes)
    requirement = Requirement(
        name,
        **texts,
        type=type,
        default=_default(block, nodes["default"], type=type) if "default" in nodes else "",
        choices=block.texts(nodes["choices"], shape="a list of choices") if "choices" in nodes else (),
        required=block.flag(nodes["required"], default=True) if "required" in nodes else True,
        # What cannot be read is kept secret: the other way would show it.
        secret=block.flag(nodes["secret"], default=True) if "secret" in nodes else False,
    )
    return _checked(block, node, nodes, requirement, patterns)


def _type(block: Block, nodes: dict[str, yaml.Node]) -> str:
    if "type" not in nodes:
        return "choice" if "choices" in nodes else "text"
    name = block.text(nodes["type"]).lower()
    if name in TYPES:
        return name
    block.report(nodes["type"], f"{name[:50]!r} is no type; choose one of: {', '.join(TYPES)}.")
    return "text"


def _default(block: Block, node: yaml.Node, *, type: str) -> str:
    if type == "multichoice" and isinstance(node, yaml.SequenceNode):
        return "\n".join(block.texts(node, shape="a list of choices"))
    return block.text(node)


def _checked(
    block: Block, node: yaml.Node, nodes: dict[str, yaml.Node], requirement: Requirement, patterns: Patterns
) -> Requirement:
    """The requirement with its pattern known to compile and its default as a script expects it."""
    if requirement.type == "file":
        return _checked_file(block, node, nodes, requirement)
    if requirement.type in WITH_CHOICES:
        _check_choices(block, nodes.get("choices", node), requirement)
    requirement = replace(requirement, default=normal(requirement, requirement.default))
    try:
        if requirement.pattern:
            patterns.compiled(requirement.pattern)
        message = misfit(requirement, requirement.default, patterns) if requirement.default else None
    except BadPattern as bad:
        block.report(nodes["pattern"], f"the pattern is no regular expression: {bad}.")
        return replace(requirement, pattern="")
    except TooSlow:
        block.report(nodes.get("pattern", node), "the pattern takes too long to check; simplify it.")
        return requirement
    if message:
        block.report(nodes["default"], f"the default does not fit: {message}")
    if requirement.default and requirement.secret:
        message = "this is the default of a secret, for everybody to read; leave it out."
        block.report(nodes["default"], message, severity="warning")
    return requirement


def _check_choices(block: Block, node: yaml.Node, requirement: Requirement) -> None:
    if not requirement.choices:
        block.report(node, f"{requirement.name} needs a list of choices.")
    if requirement.type == "multichoice" and any(not is_one_line(choice) for choice in requirement.choices):
        block.report(node, "each choice is one line, and not empty: the script gets those that are chosen one a line.")


def _checked_file(block: Block, node: yaml.Node, nodes: dict[str, yaml.Node], requirement: Requirement) -> Requirement:
    """The requirement without what a file cannot have."""
    for key in NOT_OF_A_FILE:
        if key in nodes:
            block.report(nodes[key], f"a file has no {key}; leave it out.")
    if looks_secret(requirement.name):
        block.report(
            node, f"{requirement.name} is the name of a secret, and a file is none: the log shows it; rename it."
        )
    elif requirement.secret:
        block.report(nodes["secret"], "a file is no secret, for the log shows what is in it; leave this out.")
    return replace(requirement, default="", choices=(), pattern="")


def _paths(block: Block, node: yaml.Node) -> tuple[str, ...]:
    paths = []
    items = block.items(node, shape="a list of files, each on a line that begins with `- `")
    if len(items) > MOST_PATHS:
        block.report(items[MOST_PATHS], f"these are more than {MOST_PATHS}; name a folder instead.")
    for item in items[:MOST_PATHS]:
        path = block.text(item)
        if reason := refused_path(path):
            block.report(item, f"{path[:200]!r} {reason}.")
        else:
            paths.append(path)
    return tuple(paths)


def _claim_values(block: Block, node: yaml.Node) -> tuple[str, ...]:
    if isinstance(node, yaml.ScalarNode) and not is_empty(node):
        return tuple(value.strip() for value in node.value.split(","))
    return block.texts(node, shape="`value, value` or a list of values")


def _report_unknown(block: Block, entries: dict[str, tuple[yaml.Node, yaml.Node]], known: tuple[str, ...]) -> None:
    for name, (key, _) in entries.items():
        if name not in known:
            block.report(key, f"{name[:50]!r} is not known here; known are: {', '.join(known)}.")
