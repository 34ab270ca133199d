"""A runbook's form as a person finds it: each field filled in, by them, the address, an earlier run or a default."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.http import Http404, HttpRequest
from django.urls import reverse

from runbooks import library
from runbooks.access.actor import Actor
from runbooks.document.patterns import Patterns, TooSlow
from runbooks.document.runbook import Requirement
from runbooks.document.values import misfit, normal
from runbooks.execution import control, environment
from runbooks.library import LibraryRunbook
from runbooks.models import Run, State
from runbooks.web import forms
from runbooks.web.run_field import Field

AGAIN, FRESH = "run", "fresh"  # in the address: with the values of that run, or of none
LONGEST_SHOWN = 50  # of a value in a message
LOOKED_AT = 1000  # of a person's newest runs, to find the last one of a runbook


@dataclass(frozen=True)
class Message:
    """Why nothing was started; of a field if it has an id."""

    text: str
    label: str = ""
    id: str = ""


@dataclass(frozen=True)
class RunForm:
    """What the form shows; `earlier` is the run whose values are in it, if any are."""

    runbook: LibraryRunbook
    fields: list[Field]
    errors: Mapping[str, str]
    reason: str = ""
    earlier: Run | None = None
    is_again: bool = False
    names: Mapping[str, str] = field(default_factory=lambda: {"key": forms.KEY, "reason": forms.REASON})
    key: uuid.UUID = field(default_factory=uuid.uuid4)

    @property
    def messages(self) -> list[Message]:
        """Why nothing was started: what is wrong with fields first, in their order."""
        of_fields = [Message(one.error, one.name, one.id) for one in self.fields if one.name in self.errors]
        shown = {one.name for one in self.fields}
        # What has no field is said with its name, for that explains the message.
        strays = [Message(text, name) for name, text in self.errors.items() if name not in (*shown, "", forms.REASON)]
        why = [Message(self.reason_error, "Reason", "why")] if self.reason_error else []
        return of_fields + why + strays + ([Message(self.errors[""])] if "" in self.errors else [])

    @property
    def again(self) -> list[Field]:
        """The files and secrets that were given in vain: Execute would leave them out without a word."""
        return [one for one in self.fields if one.again]

    @property
    def reason_error(self) -> str:
        return self.errors.get(forms.REASON, "")

    @property
    def longest_reason(self) -> int:
        return control.LONGEST_REASON

    @property
    def largest_files(self) -> int:
        return control.LARGEST_FILES

    @property
    def has_files(self) -> bool:
        return bool(self.runbook.runbook.files)

    @property
    def check(self) -> str:
        """Where a field is checked before all of it is sent."""
        return reverse("check", args=[self.runbook.path])


def run_form(
    request: HttpRequest, runbook: LibraryRunbook, *, typed: Mapping[str, str] | None, errors: Mapping[str, str]
) -> RunForm:
    """The form with what was typed, or else with what the address says, an earlier run, the defaults; never a secret.

    Raises Http404 if the address names a run that this person may not see.
    """
    provided = environment.provided_values()
    earlier = _earlier(request, runbook) if typed is None else None
    asked = forms.start_values(request.GET, runbook.runbook) if typed is None else {}
    filling = Filling(asked, earlier, is_again=AGAIN in request.GET)
    fields = [
        filling.filled(requirement) if typed is None else _sent_back(request, requirement, typed, errors)
        for requirement in runbook.runbook.requirements
    ]
    return RunForm(
        runbook=runbook,
        fields=[one.provided() if one.name in provided else one for one in fields],
        errors=errors,
        reason=forms.start_reason(request.POST),
        earlier=earlier if any(one.is_remembered for one in fields) else None,
        is_again=AGAIN in request.GET,
    )


def _sent_back(
    request: HttpRequest, requirement: Requirement, typed: Mapping[str, str], errors: Mapping[str, str]
) -> Field:
    name = requirement.name
    # A box that is not ticked comes as false, and stands there unticked again.
    nothing = "false" if requirement.type == "boolean" else ""
    is_secret = requirement.secret and typed.get(name, nothing) != nothing
    is_file = requirement.type == "file" and name in request.FILES
    value, error = typed.get(name, requirement.default), errors.get(name, "")
    return Field(requirement, value, error, was_given=is_secret or is_file)


def _earlier(request: HttpRequest, runbook: LibraryRunbook) -> Run | None:
    """The run that the address names, or this person's last one of this runbook, unless they want a fresh form."""
    if AGAIN in request.GET:
        return _named(request.actor, runbook, request.GET[AGAIN])
    return None if FRESH in request.GET else _last(request.actor, runbook)


def _named(actor: Actor, runbook: LibraryRunbook, number: str) -> Run:
    run = library.run_for(actor, int(number)) if number.isascii() and number.isdigit() and len(number) < 19 else None
    if run is None or run.runbook != runbook.path:
        raise Http404(f"There is no run #{number[:20]} of this runbook, or you may not see it.")
    return run


def _last(actor: Actor, runbook: LibraryRunbook) -> Run | None:
    # Of a person who has run it never, or long ago, not all runs there are can be looked at.
    newest = Run.objects.filter(actor=actor.id).order_by("-pk").values("pk")[:LOOKED_AT]
    own = library.visible_runs(actor).filter(pk__in=newest, runbook=runbook.path, parent=None)
    return own.exclude(state=State.REFUSED).order_by("-pk").only("pk", "actor", "values").first()


class Filling:
    """Fills in fields, each from the first place that has a value for it: the address, an earlier run, its default."""

    def __init__(self, asked: Mapping[str, str], earlier: Run | None, *, is_again: bool):
        self.asked = asked
        self.earlier = earlier.values if earlier else {}
        self.origin = f"from run #{earlier.pk}" if is_again and earlier else "from last time"
        self.patterns = Patterns()

    def filled(self, requirement: Requirement) -> Field:
        name = requirement.name
        if requirement.type == "file":
            return Field(requirement, before=self.earlier.get(name, ""))
        if requirement.secret:
            return Field(requirement)
        if name in self.asked:
            return self._asked(requirement, self.asked[name])
        return self._remembered(requirement) or Field(requirement, requirement.default)

    def _asked(self, requirement: Requirement, value: str) -> Field:
        problem = self._misfit(requirement, value)
        # Whoever follows a link must not run something else than it says without being told.
        error = f"{value[:LONGEST_SHOWN]!r} in the address does not fit: {problem}" if problem else ""
        return Field(requirement, normal(requirement, value), error, origin="from the address")

    def _remembered(self, requirement: Requirement) -> Field | None:
        value = self.earlier.get(requirement.name, requirement.default)
        # It may have been a secret then.
        if value in (requirement.default, control.SHOWN) or self._misfit(requirement, value):
            return None
        return Field(requirement, value, origin=self.origin, is_remembered=True)

    def _misfit(self, requirement: Requirement, value: str) -> str | None:
        try:
            return misfit(requirement, normal(requirement, value), self.patterns) if value else None
        except TooSlow:
            return None
