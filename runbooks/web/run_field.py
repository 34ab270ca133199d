"""One labelled field of a runbook's form, as the template shows it."""

from dataclasses import dataclass, replace

from runbooks.document.runbook import Requirement
from runbooks.document.values import lines

TRUE = ("true", "yes", "on", "1")
ONE_LINE = ("text", "number", "date")
YES_OR_NO = {"true": "Yes", "false": "No"}


@dataclass(frozen=True)
class Option:
    """One of several to choose from."""

    value: str
    label: str
    is_chosen: bool


@dataclass(frozen=True)
class Field:
    """A requirement and what stands in its field; a secret never does.

    `origin` says where the value is from, if not from the runbook; `before` which file it was in an earlier run;
    `was_given` that a file or a secret came with a form that started nothing, and is wanted once more.
    """

    requirement: Requirement
    value: str = ""
    error: str = ""
    origin: str = ""
    before: str = ""
    is_remembered: bool = False
    is_provided: bool = False
    was_given: bool = False

    def __post_init__(self) -> None:
        if self.requirement.secret or self.requirement.type == "file":
            object.__setattr__(self, "value", "")

    def provided(self) -> "Field":
        """The same field, which may be left empty for the server's own value."""
        # Its default never counts, for the server's value comes before that.
        value = "" if self.value == self.requirement.default else self.value
        return replace(self, value=value, is_provided=True)

    @property
    def name(self) -> str:
        return self.requirement.name

    @property
    def id(self) -> str:
        return f"field-{self.name}"

    @property
    def kind(self) -> str:
        """password, multiline, choice, multichoice, boolean, number, date, file or text."""
        # A password field is one line: a private key would lose its line ends.
        if self.requirement.secret and self.requirement.type in ONE_LINE:
            return "password"
        # A box is ticked or not: it cannot be left to the server.
        is_left = self.requirement.type == "boolean" and self.is_provided
        return "choice" if is_left else self.requirement.type

    @property
    def is_required(self) -> bool:
        """Whether nothing stands in for a value that is not given; for boxes that are unticked, no default does."""
        has_default = self.requirement.default and self.kind != "multichoice"
        return self.requirement.required and not has_default and not self.is_provided

    @property
    def need(self) -> str:
        if self.is_provided:
            return "provided by the server"
        return "required" if self.is_required else "optional"

    @property
    def file_before(self) -> str:
        """The earlier file's name and size; its hash would say nothing to people here."""
        head, _, rest = self.before.rpartition(", sha256 ")
        return f"{head})" if head else rest

    @property
    def again(self) -> str:
        """What to do anew, for a page cannot give it back; what is wrong with it says so already."""
        if not self.was_given or self.error:
            return ""
        if self.kind == "file":
            return "Choose the file again: nothing was started, and files are not kept."
        verb = "Type" if self.kind in ("password", "multiline") else "Choose"
        return f"{verb} it again: nothing was started, and secrets are not kept."

    @property
    def is_checked(self) -> bool:
        return self.value.lower() in TRUE

    @property
    def options(self) -> list[Option]:
        """What a choice offers: nothing at first, where nothing may be chosen or where nothing that fits is."""
        labels = YES_OR_NO if self.requirement.type == "boolean" else {one: one for one in self.requirement.choices}
        may_be_empty = self.is_provided or not (self.requirement.required or self.requirement.default)
        empty = {"": self._label_of_nothing} if may_be_empty or self.value not in labels else {}
        return [Option(value, label, value == self.value) for value, label in (empty | labels).items()]

    @property
    def boxes(self) -> list[Option]:
        """What a multichoice offers."""
        chosen = lines(self.value)
        return [Option(one, one, one in chosen) for one in dict.fromkeys(self.requirement.choices)]

    @property
    def _label_of_nothing(self) -> str:
        if self.is_provided:
            return "Use the value of the server"
        return "Choose one" if self.requirement.required else "None"
