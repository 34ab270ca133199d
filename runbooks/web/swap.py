"""What a live stream puts into a page: a piece of HTML, and the element whose place it takes."""

from django.urls import reverse

from runbooks.models import Run


def replacement(id: str, html: str, *, swap: str = "outerHTML") -> str:
    """HTML that takes the place of the element with this id."""
    return f'<hx-partial hx-target="#{id}" hx-swap="{swap}">{html}</hx-partial>'


def address(run: Run, name: str) -> str:
    """The address of one of a run's streams."""
    return reverse(name, urlconf="runbooks.web.consumers", args=[run.pk])
