"""The form of a run's note: how long a note may be, and which note its author has seen."""

import re
from typing import Any

from django import forms

from runbooks.models import Run

LONGEST = 2000  # characters
TOO_LONG = f"A note has at most {LONGEST} characters, and this one %(show_value)d. Shorten it, then save it."
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
EMPTY_LINES = re.compile(r"\n(?:[ \t]*\n){2,}")


class NoteForm(forms.Form):
    """A note, and which note before it its author has seen."""

    note = forms.CharField(max_length=LONGEST, required=False, error_messages={"max_length": TOO_LONG})
    seen = forms.CharField(max_length=64, required=False)

    def clean_note(self) -> str:
        """The note as people read it: nothing that cannot be seen, and of empty lines one at a time."""
        return EMPTY_LINES.sub("\n\n", CONTROL.sub("", self.cleaned_data["note"])).strip()


def note_context(run: Run) -> dict[str, Any]:
    """What the form on the run's page needs."""
    return {"note_version": note_version(run), "longest_note": LONGEST}


def note_version(run: Run) -> str:
    """What tells this note from those before it."""
    return run.noted_at.isoformat() if run.noted_at else ""
