"""The list of runbooks, with its search: favourites first, then folder by folder, and last what one may only read."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from runbooks import library
from runbooks.access import rules
from runbooks.access.actor import Actor
from runbooks.access.identify import signed_in
from runbooks.library import LibraryRunbook
from runbooks.models import Run
from runbooks.typical import typical_of_all
from runbooks.web.favourites import favourites_of
from runbooks.web.runbook_search import asked_for, found

MANY = 60  # runbooks: of more, the folders are folded, for nobody reads them all
MOST_ROWS = 100  # of one folder at once: the rest of a thousand is asked for by who goes on
MOST_FOUND = 100
LONGEST_NUMBER = 9  # digits


@dataclass(frozen=True)
class Row:
    """One runbook, as its line in the list shows it to an actor."""

    runbook: LibraryRunbook
    last_run: Run | None
    refusal: str
    is_favourite: bool
    usual: float | None
    asked_for: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Group:
    """Rows below one heading, asked for by its key: a folded group's once somebody opens it, and further ones."""

    key: str
    title: str
    icon: str
    rows: list[Row]
    is_folded: bool = False
    shows_folder: bool = False
    start: int = 0  # how many rows come before those that are shown

    @property
    def end(self) -> int:
        return min(self.start + MOST_ROWS, len(self.rows))

    @property
    def more(self) -> int:
        """How many come next."""
        return min(MOST_ROWS, len(self.rows) - self.end)

    @property
    def shown(self) -> list[Row]:
        return self.rows[self.start : self.end]


@require_safe
@signed_in
def runbooks(request: HttpRequest) -> HttpResponse:
    query = request.GET.get("q", "").strip()
    words = query.casefold().split()
    runbooks = library.runbooks()
    hits = _hits(request.actor, runbooks, words) if words else runbooks
    visible = library.visible_runs(request.actor, known=runbooks)
    rows = list(_rows(request.actor, hits[:MOST_FOUND] if words else hits, words, typical_of_all(visible)))
    groups = _groups(rows, is_found=bool(words))
    is_fragment = request.htmx and not request.htmx.history_restore_request
    if only := request.GET.get("only"):
        groups = [_opened(groups, only, start=_number(request.GET.get("from", "")))]
        if is_fragment:
            return render(request, "runbooks/_rows.html", {"group": groups[0]})
    context = {
        "groups": groups,
        "only": only,
        "count": len(hits),
        "more": max(0, len(hits) - MOST_FOUND) if words else 0,
        "query": query,
        "trouble": library.trouble(),
    }
    return render(request, "runbooks/_list.html" if is_fragment else "runbooks/list.html", context)


def _hits(actor: Actor, runbooks: list[LibraryRunbook], words: list[str]) -> list[LibraryRunbook]:
    """What the search finds, the best hit first; of equally good ones, those that the actor may run."""
    ranked = [
        (rank, bool(rules.missing_claims(actor, runbook.runbook.claims)), runbook)
        for runbook in runbooks
        if (rank := found(runbook, words)) is not None
    ]
    return [runbook for *_, runbook in sorted(ranked, key=lambda hit: hit[:2])]


def _rows(actor: Actor, runbooks: list[LibraryRunbook], words: list[str], usual: Mapping[str, float]) -> Iterator[Row]:
    last_runs, favourites = library.last_runs(actor), favourites_of(actor)
    for runbook in runbooks:
        yield Row(
            runbook=runbook,
            last_run=last_runs.get(runbook.path),
            refusal=rules.refusal(actor, runbook.runbook.claims),
            is_favourite=runbook.path in favourites,
            usual=usual.get(runbook.path),
            asked_for=asked_for(runbook, words),
        )


def _groups(rows: list[Row], *, is_found: bool) -> list[Group]:
    """The rows below their headings; what was searched for stays in the order of the search, below none."""
    if is_found:
        return [Group("found", "", "", rows, shows_folder=True)] if rows else []
    favourites = [row for row in rows if row.is_favourite]
    refused = [row for row in rows if row.refusal and not row.is_favourite]
    folders = defaultdict(list)
    for row in rows:
        if not row.refusal and not row.is_favourite:
            folders[row.runbook.folder].append(row)
    is_folded = len(rows) > MANY
    groups = [
        Group("favourites", "Favourites", "star", favourites, shows_folder=True),
        *(_folder(path, folders[path], is_folded=is_folded) for path in sorted(folders)),
        Group("read", "Only to read", "lock", refused, is_folded=is_folded, shows_folder=True),
    ]
    return [group for group in groups if group.rows]


def _folder(path: str, rows: list[Row], *, is_folded: bool) -> Group:
    if not path:
        return Group("top", "Not in a folder", "file", rows)
    return Group(f"in:{path}", path.replace("/", " / "), "folder", rows, is_folded=is_folded)


def _opened(groups: list[Group], key: str, *, start: int) -> Group:
    for group in groups:
        if group.key == key and start < len(group.rows):
            return replace(group, is_folded=False, start=start)
    raise Http404("There is no such folder, or nothing in it that is yours to see here.")


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER else 0
