"""Who has a run's page open and live, of the people whom this process serves."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence

from django.template.loader import render_to_string

from runbooks.access.actor import Actor
from runbooks.models import Run
from runbooks.web.swap import replacement

NAMED = 3  # of more than one more, only the number is told
_watching: dict[int, Counter[str]] = {}


@contextlib.contextmanager
def watching(actor: Actor, run: Run) -> Iterator[None]:
    """Count this person as one who watches the run; another page of the same person makes no difference."""
    people = _watching.setdefault(run.pk, Counter())
    people[actor.id] += 1
    try:
        yield
    finally:
        people[actor.id] -= 1
        people += Counter()  # leaves out who has gone
        if not people:
            _watching.pop(run.pk, None)


def others(actor: Actor, run: Run) -> tuple[str, ...]:
    """The other people who watch, by name."""
    return tuple(sorted(person for person in _watching.get(run.pk, ()) if person != actor.id))


def watchers_html(people: Sequence[str]) -> str:
    """What takes the place of the line that says who else is watching."""
    return replacement("watchers", render_to_string("runs/_log_watchers.html", {"watchers": sentence(people)}))


def sentence(people: Sequence[str]) -> str:
    """Who is watching too, in words; nothing, if that is nobody."""
    if not people:
        return ""
    named = list(people if len(people) <= NAMED + 1 else people[:NAMED])
    if len(named) < len(people):
        named.append(f"{len(people) - NAMED} more")
    words = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
    return f"{words} {'is' if len(people) == 1 else 'are'} watching too"
