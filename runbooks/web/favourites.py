"""Which runbooks a person wants at the top of their list."""

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from runbooks import library
from runbooks.access.actor import Actor
from runbooks.access.identify import signed_in
from runbooks.models import Favourite

SEARCH = "search"  # the list's form sends what it was searched for, so that one comes back to the same list


@require_POST
@signed_in
def favourite(request: HttpRequest, path: str) -> HttpResponse:
    runbook = library.runbook_for(request.actor, path)
    is_wanted = request.POST.get("wanted") != "false"
    _save(request.actor, runbook.path, is_wanted=is_wanted)
    if request.htmx:
        return render(request, "runbooks/_star.html", {"runbook": runbook, "is_favourite": is_wanted})
    if (query := request.POST.get(SEARCH)) is None:
        return redirect("runbook", runbook.path)
    return redirect(f"{reverse('runbooks')}?{urlencode({'q': query})}" if query else "runbooks")


def favourites_of(actor: Actor) -> set[str]:
    """The paths of the runbooks that this actor has starred; some may be gone."""
    return set(Favourite.objects.filter(actor=actor.id).values_list("runbook", flat=True))


def _save(actor: Actor, path: str, *, is_wanted: bool) -> None:
    if is_wanted:
        # Two presses at once are one star.
        Favourite.objects.bulk_create([Favourite(actor=actor.id, runbook=path)], ignore_conflicts=True)
    else:
        Favourite.objects.filter(actor=actor.id, runbook=path).delete()
