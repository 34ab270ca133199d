"""The note that anybody who sees a run may put on it, for whoever looks at it later."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from runbooks import library
from runbooks.access.actor import Actor
from runbooks.access.identify import signed_in
from runbooks.models import Run
from runbooks.web.note_form import NoteForm, note_context, note_version
from runbooks.web.run_page import run_page

MOST_SHOWN = 20_000  # characters of what was not saved that come back to be shortened
MEANWHILE = "{} has changed the note meanwhile. Save yours, and it takes the place of the one above."


@require_POST
@signed_in
def note(request: HttpRequest, pk: int) -> HttpResponse:
    run = library.run_for(request.actor, pk)
    # Browsers send each end of a line as two characters, and have counted one.
    typed = request.POST.get("note", "").replace("\r\n", "\n")
    form = NoteForm({"note": typed, "seen": request.POST.get("seen", "")})
    if not form.is_valid():
        problem = next(iter(form.errors.values()))[0]
        return _answer(request, run, typed=typed[:MOST_SHOWN], problem=problem, status=422)
    if not _change(request.actor, run, form.cleaned_data["note"], seen=form.cleaned_data["seen"]):
        run = library.run_for(request.actor, pk)
        return _answer(request, run, typed=typed[:MOST_SHOWN], problem=MEANWHILE.format(run.noted_by), status=409)
    return _answer(request, library.run_for(request.actor, pk)) if request.htmx else redirect(run)


def _change(actor: Actor, run: Run, note: str, *, seen: str) -> bool:
    """Put the note in the place of the one that was seen; False means that somebody else was quicker."""
    if note == run.note:
        return True
    noted = {"note": note, "noted_by": actor.id, "noted_at": timezone.now()}
    unchanged = Run.objects.filter(pk=run.pk, noted_at=run.noted_at)
    return seen == note_version(run) and unchanged.update(**noted) == 1


def _answer(request: HttpRequest, run: Run, *, status: int = 200, **note: str) -> HttpResponse:
    if request.htmx:
        return render(request, "runs/_note.html", {"run": run, **note_context(run), **note}, status=status)
    return run_page(request, run, status=status, **note)
