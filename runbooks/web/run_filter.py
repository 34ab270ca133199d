"""Which runs to list: what the filter's form and its address say, and what that means for the rows."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce
from django.db.models.lookups import GreaterThanOrEqual, LessThan
from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone

from runbooks import library
from runbooks.access import rules
from runbooks.access.actor import Actor
from runbooks.models import Run, State
from runbooks.templatetags.show import runbook_name
from runbooks.web.search_places import one_line

ATTENTION = (State.FAILED, State.TIMED_OUT, State.LOST)
PERIODS = {"today": ("Today", 1), "week": ("Last 7 days", 7)}
# Days that are some day in each time zone.
IS_SOME_DAY = (MinValueValidator(date(1970, 1, 2)), MaxValueValidator(date(9998, 12, 30)))


class Shortcut(NamedTuple):
    """A link that narrows the list in the most usual ways, or that widens it again."""

    id: str
    icon: str
    label: str
    address: str
    is_on: bool


class Chip(NamedTuple):
    """One thing that the list is narrowed to, and the address of the list without it."""

    label: str
    value: str
    address: str


class RunFilter(forms.Form):
    """What an address says of the list; fields that are left empty say nothing."""

    text = forms.CharField(required=False, max_length=200, strip=False)
    runbook = forms.CharField(required=False, max_length=library.MAX_PATH)
    state = forms.MultipleChoiceField(required=False, choices=State.choices)
    person = forms.CharField(required=False, max_length=255)
    mine = forms.BooleanField(required=False)
    period = forms.ChoiceField(required=False, choices=[(name, label) for name, (label, _) in PERIODS.items()])
    since = forms.DateField(required=False, label="From", validators=IS_SOME_DAY)
    until = forms.DateField(required=False, validators=IS_SOME_DAY)
    before = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1)

    def __init__(self, query: QueryDict):
        given = QueryDict(mutable=True)
        for name in self.base_fields:
            if values := [value for value in query.getlist(name) if value.strip()]:
                given.setlist(name, values)
        super().__init__(given)

    def clean_text(self) -> str:
        return one_line(self.cleaned_data["text"])

    def runs(self, visible: QuerySet[Run], *, actor: Actor) -> QuerySet[Run]:
        """Those of the runs that this actor may see that fit; their output is not looked at here."""
        wanted, found = self.cleaned_data, visible
        equal = {"runbook": [wanted["runbook"]], "state": wanted["state"], "actor": [wanted["mine"] and actor.id]}
        for column, values in equal.items():
            if any(values):
                found = found.filter(rules.residual(column, values))
        if wanted["person"]:
            found = found.filter(actor__icontains=wanted["person"])
        if wanted["before"]:
            found = found.filter(pk__lt=wanted["before"])
        for bound in self._bounds():
            found = found.filter(bound)
        return found

    def address(self, **changes: object) -> str:
        """The list's address with these changes, from its newest page on; None takes something away."""
        query = self.data.copy()
        for name, value in {"before": None, **changes}.items():
            query.pop(name, None)
            if value is not None:
                query.setlist(name, [str(one) for one in value] if isinstance(value, list | tuple) else [str(value)])
        return reverse("runs") + (f"?{query.urlencode()}" if query else "")

    def shortcuts(self) -> list[Shortcut]:
        """The links above the list; one that is on leads to the list without it."""
        wanted = self.cleaned_data
        links = [
            ("alert", "Needs attention", "state", ATTENTION, set(wanted["state"]) == set(ATTENTION)),
            ("person", "Mine", "mine", "true", wanted["mine"]),
            *(("clock", label, "period", name, wanted["period"] == name) for name, (label, _) in PERIODS.items()),
        ]
        return [
            Shortcut(f"only-{label.lower().replace(' ', '-')}", icon, label, self._toggled(name, value, is_on), is_on)
            for icon, label, name, value, is_on in links
        ]

    def chips(self) -> list[Chip]:
        """What the list is narrowed to beside the shortcuts."""
        return [Chip(label, value, self.address(**without)) for label, value, without in self._narrowed()]

    @property
    def is_narrowed(self) -> bool:
        return bool(set(self.data) - {"before"})

    @property
    def has_others(self) -> bool:
        """Whether the list is narrowed by anything but the text of the output."""
        return bool(set(self.data) - {"before", "text"})

    @property
    def has_more(self) -> bool:
        """Whether one of the fields that are folded away says something."""
        wanted = self.cleaned_data if self.is_valid() else self.data
        states = set(wanted.get("state") or ())
        return bool(states - set(ATTENTION)) or any(wanted.get(name) for name in ("person", "since", "until"))

    def _toggled(self, name: str, value: object, is_on: bool) -> str:
        return self.address(**{name: None if is_on else value})

    def _narrowed(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        wanted, states = self.cleaned_data, self.cleaned_data["state"]
        if wanted["text"]:
            yield "Output has", f"“{wanted['text']}”", {"text": None}
        if wanted["runbook"]:
            yield "Runbook", runbook_name(wanted["runbook"]), {"runbook": None}
        if set(states) != set(ATTENTION):
            for state in states:
                yield "State", State(state).label, {"state": [other for other in states if other != state] or None}
        if wanted["person"]:
            yield "Person", wanted["person"], {"person": None}
        for name in ("since", "until"):
            if wanted[name]:
                yield self.fields[name].label or name.capitalize(), f"{wanted[name]:%-d %b %Y}", {name: None}

    def _bounds(self) -> Iterator[GreaterThanOrEqual | LessThan]:
        """When the runs were asked for, looked at in each row as the other columns are."""
        wanted, queued_at = self.cleaned_data, Coalesce(F("queued_at"), F("queued_at"))
        if wanted["period"]:
            days = PERIODS[wanted["period"]][1]
            yield GreaterThanOrEqual(queued_at, _beginning(timezone.localdate() - timedelta(days=days - 1)))
        if wanted["since"]:
            yield GreaterThanOrEqual(queued_at, _beginning(wanted["since"]))
        if wanted["until"]:
            yield LessThan(queued_at, _beginning(wanted["until"] + timedelta(days=1)))


def _beginning(day: date) -> datetime:
    """The first moment of a day in the viewer's time zone."""
    return timezone.make_aware(datetime.combine(day, time.min))
