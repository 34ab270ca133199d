"""Two runs side by side."""

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from runbooks import library
from runbooks.access.identify import signed_in
from runbooks.web.comparison import Comparison

LONGEST_NUMBER = 18  # digits


class Pair(forms.Form):
    """The numbers of two runs."""

    a = forms.IntegerField(label="First run", min_value=1, max_value=2**63 - 1)
    b = forms.IntegerField(label="Second run", min_value=1, max_value=2**63 - 1)


@require_safe
@signed_in
def compare(request: HttpRequest) -> HttpResponse:
    ticked = set(request.GET.getlist("run"))
    if len(ticked) == 2 and all(map(_is_number, ticked)):
        # The older one first: what has changed is read from left to right.
        return redirect(_address(*sorted(ticked, key=int)))
    pair = Pair(request.GET if "a" in request.GET or "b" in request.GET else None)
    if not pair.is_valid():
        context = {"pair": pair, "ticked": len(ticked)}
        return render(request, "runs/choose_two.html", context, status=400 if request.GET else 200)
    a, b = (library.run_for(request.actor, pair.cleaned_data[name]) for name in ("a", "b"))
    context = {"a": a, "b": b, "pair": (a, b), "found": Comparison(a, b), "swapped": _address(b.pk, a.pk)}
    return render(request, "runs/compare.html", context)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER


def _address(a: object, b: object) -> str:
    return f"{reverse('compare')}?a={a}&b={b}"
