"""Which runbooks a search finds, and which of them one most likely means."""

from collections.abc import Sequence

from runbooks.library import LibraryRunbook

AT_ITS_START = -1  # better than anywhere in the name


def found(runbook: LibraryRunbook, words: Sequence[str]) -> int | None:
    """How far from the runbook's name the words are, the least first; None if one of them is nowhere."""
    places = _places(runbook)
    ranks = [_rank(word, places) for word in words]
    return None if None in ranks else sum(ranks)


def asked_for(runbook: LibraryRunbook, words: Sequence[str]) -> list[str]:
    """The variables that the words are in, of what neither name nor folder nor summary shows."""
    shown = f"{runbook.path}\n{runbook.runbook.summary}".casefold()
    hidden = [word for word in words if word not in shown]
    return [
        requirement.name
        for requirement in runbook.runbook.requirements
        if any(word in f"{requirement.name}\n{requirement.description}".casefold() for word in hidden)
    ]


def _places(runbook: LibraryRunbook) -> tuple[str, ...]:
    """The texts that are searched, the most telling first."""
    requirements = runbook.runbook.requirements
    texts = (
        runbook.runbook.name,
        runbook.folder,
        "\n".join(requirement.name for requirement in requirements),
        runbook.runbook.summary,
        "\n".join(requirement.description for requirement in requirements),
    )
    return tuple(text.casefold() for text in texts)


def _rank(word: str, places: Sequence[str]) -> int | None:
    if places[0].startswith(word):
        return AT_ITS_START
    return next((index for index, place in enumerate(places) if word in place), None)
