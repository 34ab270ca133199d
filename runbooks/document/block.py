"""The yaml block of a section, read node by node, so that each problem has its line.

Only yaml's structure is used. Scalars stay the words that the author wrote: `on` is no boolean and 010 is not 8.
"""

import yaml
from yaml.composer import ComposerError

from runbooks.document.outline import Outline, Section
from runbooks.document.runbook import Problem, Severity

LONGEST = 16 * 1024
DEEPEST = 8
FLAGS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
TYPO_HINTS = {
    "mapping values are not allowed here": "; put a text that contains a colon in quotes",
    "found character '\\t' that cannot start any token": "; indent with spaces, not with tabs",
}


class Unreadable(Exception):
    """The section's yaml block is missing or no yaml; str() says why, line is where in the file."""

    def __init__(self, message: str, line: int):
        super().__init__(message)
        self.line = line


class Block:
    """One section's yaml; whatever does not fit becomes a Problem, and reading goes on with a harmless value."""

    def __init__(self, outline: Outline, section: Section, problems: list[Problem]):
        self.section = section
        self.problems = problems
        self.first_line = section.line
        self.root: yaml.Node | None = None
        try:
            self.root = self._composed(outline)
        except Unreadable as unreadable:
            self._add(unreadable.line, str(unreadable), "error")

    def report(self, node: yaml.Node, message: str, *, severity: Severity = "error") -> None:
        self._add(self.first_line + node.start_mark.line, message, severity)

    def entries(self, node: yaml.Node | None, *, shape: str) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """The mapping's keys, each with its key node and value node; a second use of a key is reported."""
        if is_empty(node):
            return {}
        if not isinstance(node, yaml.MappingNode):
            self.report(node, f"expected {shape}.")
            return {}
        found: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            name = self.text(key)
            if name in found:
                self.report(key, f"{name} is there twice; keep one.")
            else:
                found[name] = (key, value)
        return found

    def text(self, node: yaml.Node) -> str:
        if isinstance(node, yaml.ScalarNode):
            return "" if is_empty(node) else node.value
        self.report(node, "expected a text here, not a list or mapping.")
        return ""

    def items(self, node: yaml.Node, *, shape: str) -> list[yaml.Node]:
        if isinstance(node, yaml.SequenceNode):
            return node.value
        if not is_empty(node):
            self.report(node, f"expected {shape}.")
        return []

    def texts(self, node: yaml.Node, *, shape: str) -> tuple[str, ...]:
        return tuple(self.text(item) for item in self.items(node, shape=shape))

    def flag(self, node: yaml.Node, *, default: bool) -> bool:
        word = self.text(node).lower()
        if word in FLAGS:
            return FLAGS[word]
        self.report(node, "expected true or false.")
        return default

    def whole(self, node: yaml.Node) -> int | None:
        digits = self.text(node)
        if digits.isascii() and digits.isdigit() and len(digits) <= 9 and int(digits):
            return int(digits)
        self.report(node, "expected a whole number from 1 to 999999999.")
        return None

    def _add(self, line: int, message: str, severity: Severity) -> None:
        self.problems.append(Problem(self.section.title, line, message, severity))

    def _composed(self, outline: Outline) -> yaml.Node | None:
        fences = [fence for fence in outline.fences_in(self.section) if fence.language in ("yaml", "yml")]
        if not fences:
            raise Unreadable("write a ```yaml block here; it may be empty.", self.section.line)
        if len(fences) > 1:
            raise Unreadable("there is more than one yaml block; keep one.", fences[1].start)
        self.first_line = fences[0].start + 1
        return _compose(outline.content(fences[0]), self.first_line)


def is_empty(node: yaml.Node | None) -> bool:
    """Whether the author wrote nothing, or one of yaml's words for nothing."""
    return node is None or (
        isinstance(node, yaml.ScalarNode) and node.style is None and node.value in ("", "~", "null")
    )


class _Loader(yaml.BaseLoader):
    """Composes nodes and constructs nothing; aliases are refused, as nine lines of them can make a billion nodes."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: object) -> yaml.Node:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            raise ComposerError(None, None, "aliases (*name) are not supported; write the value out", event.start_mark)
        if self.depth == DEEPEST:
            raise ComposerError(None, None, "the nesting is too deep", event.start_mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        # Escapes such as "\0" and "\ud800" give text that no variable, file name or database can hold.
        if isinstance(node, yaml.ScalarNode) and any(
            char == "\0" or "\ud800" <= char <= "\udfff" for char in node.value
        ):
            raise ComposerError(None, None, "this text has a character that cannot be used", node.start_mark)
        return node


def _compose(text: str, first_line: int) -> yaml.Node | None:
    if len(text) > LONGEST:
        raise Unreadable("the yaml block is longer than 16 KiB.", first_line)
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = f"{error.problem or error.context}{TYPO_HINTS.get(error.problem, '')}"
        # What ends too early ends in the line of the closing fence.
        line = min(mark.line, text.count("\n") - 1) if mark and text else 0
        raise Unreadable(f"this is no valid yaml: {what}.", first_line + line) from None
    except yaml.reader.ReaderError as error:
        line = first_line + text.count("\n", 0, error.position)
        raise Unreadable(f"yaml allows no character {error.character:#x} here.", line) from None
    except (ValueError, OverflowError):
        # PyYAML lets Python's own errors out, for instance for "\UFFFFFFFF".
        raise Unreadable("this is no valid yaml: an escape or number is out of range.", first_line) from None
