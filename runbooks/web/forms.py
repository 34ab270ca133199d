"""The forms that people fill in: a runbook's values, the sign-in, the filter of past runs."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from django import forms
from django.http import QueryDict

from runbooks.access import development
from runbooks.document.runbook import Requirement, Runbook
from runbooks.models import State

# A variable's name has no dot, so none of these can be one.
CONFIRMATION = "runbookweb.confirm"
KEY = "runbookweb.key"  # under which one page starts one run, however often its form is sent
OURS = ("csrfmiddlewaretoken", CONFIRMATION, KEY)
TRUE = ("true", "yes", "on", "1")


@dataclass(frozen=True)
class Field:
    """One labelled field of a runbook's form, as the template shows it."""

    requirement: Requirement
    value: str
    error: str = ""
    is_provided: bool = False

    @property
    def name(self) -> str:
        return self.requirement.name

    @property
    def kind(self) -> str:
        """password, multiline, choice, boolean, number or text."""
        # A password field is one line: a private key would lose its line ends.
        one_line = self.requirement.type in ("text", "number")
        return "password" if self.requirement.secret and one_line else self.requirement.type

    @property
    def is_required(self) -> bool:
        """Whether nothing stands in for a value that is not given."""
        return self.requirement.required and not self.requirement.default and not self.is_provided

    @property
    def is_checked(self) -> bool:
        return self.value.lower() in TRUE

    @property
    def options(self) -> tuple[str, ...]:
        choices = self.requirement.choices
        return choices if self.value in choices else ("", *choices)


def run_fields(
    runbook: Runbook,
    *,
    typed: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    provided: Mapping[str, str] | None = None,
) -> list[Field]:
    """The fields of a runbook's form with what was typed, or else with the defaults; never with a secret."""
    return [
        Field(
            requirement=requirement,
            value="" if requirement.secret else (typed or {}).get(requirement.name, requirement.default),
            error=(errors or {}).get(requirement.name, ""),
            is_provided=requirement.name in (provided or {}),
        )
        for requirement in runbook.requirements
    ]


def start_values(post: QueryDict) -> dict[str, str]:
    """What was typed into a runbook's form; browsers end lines as mail does, scripts expect them to end in one byte."""
    return {name: value.replace("\r\n", "\n") for name, value in post.dict().items() if name not in OURS}


def start_key(post: QueryDict) -> str:
    """The key of the page that this form stood on; a form without one, or with another thing in its place, has none."""
    try:
        return str(uuid.UUID(post.get(KEY, "")))
    except ValueError:
        return ""


class SignIn(forms.Form):
    """The development sign-in: whoever one says to be."""

    subject = forms.CharField(
        label="Subject",
        max_length=development.LONGEST_SUBJECT,
        validators=[development.refuse_control_characters],
    )
    roles = forms.CharField(label="Roles", required=False)

    def clean_roles(self) -> tuple[str, ...]:
        return development.roles_of(self.cleaned_data["roles"].split(","))


class RunFilter(forms.Form):
    """Which past runs to list."""

    runbook = forms.CharField(required=False, max_length=500)
    state = forms.ChoiceField(required=False, choices=State.choices)
    before = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1)
