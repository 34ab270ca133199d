"""What people have sent with a form: a runbook's values, the sign-in, the filter of past runs."""

import uuid

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict

from runbooks.access import development
from runbooks.document.runbook import Runbook
from runbooks.execution import control

# A variable's name has no dot, so none of these can be one.
REASON = "runbookweb.reason"  # why this is run now, which confirms it as well
KEY = "runbookweb.key"  # under which one page starts one run, however often its form is sent
FIELD = "runbookweb.field"  # which is to be checked
OURS = ("csrfmiddlewaretoken", REASON, KEY, FIELD)
NO_REASON = "say in a few words why you run this now."
LONG_REASON = f"this is longer than {control.LONGEST_REASON} characters; say it shorter."


def start_values(sent: QueryDict, runbook: Runbook) -> dict[str, str]:
    """What was typed into a runbook's form; browsers end lines as mail does, scripts expect them to end in one byte.

    Of several boxes the ticked ones come one a line; of any other field sent twice the last counts.
    """
    several = {requirement.name for requirement in runbook.requirements if requirement.type == "multichoice"}
    values = {name: "\n".join(sent.getlist(name)) if name in several else sent[name] for name in sent}
    return {name: value.replace("\r\n", "\n") for name, value in values.items() if name not in OURS}


def start_files(sent: MultiValueDict[str, UploadedFile]) -> dict[str, control.Upload]:
    """The file of each field; of several, nobody could say which one was meant."""
    return {
        name: control.Upload(file.name or "", file.read(), is_alone=len(sent.getlist(name)) == 1)
        for name, file in sent.items()
    }


def start_reason(post: QueryDict) -> str:
    return post.get(REASON, "").strip()


def reason_problem(runbook: Runbook, reason: str) -> str:
    """What is wrong with the reason for a run of this runbook, as a sentence, or nothing."""
    if not runbook.settings.confirm:
        return ""
    return NO_REASON if not reason else LONG_REASON if len(reason) > control.LONGEST_REASON else ""


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
