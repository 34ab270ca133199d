"""How times, durations and runbooks are written in templates."""

import re
from datetime import UTC, datetime

from django import template
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from runbooks.document.pictured import pictured
from runbookweb import zone

register = template.Library()
NOTHING = "\N{EN DASH}"
UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


@register.filter
def seen(text: object) -> str:
    """Somebody's words, with a picture for each character that would make them read differently."""
    return pictured(str(text))


@register.filter
def runbook_name(path: str) -> str:
    """db/restart.md is called restart."""
    return path.rpartition("/")[2].removesuffix(".md")


@register.filter
def breakable(variable: str) -> SafeString:
    """The name of a variable, which may go on in the next line after each underscore."""
    return mark_safe(escape(variable).replace("_", "_<wbr>"))  # noqa: S308 - escaped


@register.filter
def runs_linked(sentence: str) -> SafeString:
    """A sentence in which #7 is a link to that run."""
    # What escaping makes of a character, such as &#x27;, is no number of a run.
    return mark_safe(re.sub(r"(?<!&)#([0-9]+)", _link, escape(sentence)))  # noqa: S308 - escaped


@register.filter
def duration(seconds: float | None) -> str:
    """The two largest units, such as 1 h 3 min; below ten seconds with a tenth, below one in ms."""
    if seconds is None:
        return NOTHING
    if seconds < 1:
        return f"{1000 * max(seconds, 0):.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    rest, words = int(seconds), []
    for unit, size in UNITS:
        count, rest = divmod(rest, size)
        if count or words:
            words.append(f"{count} {unit}")
    return " ".join(word for word in words[:2] if not word.startswith("0 "))


@register.filter
def moment(when: datetime | None) -> SafeString | str:
    """A point in time on the viewer's clock, to the second, with the exact UTC as its title."""
    if not when:
        return NOTHING
    here = timezone.localtime(when)
    words = format_html('{} <span class="zone">{}</span>', f"{here:%Y-%m-%d %H:%M:%S}", zone.offset_words(here))
    return _time(when, words, mark=" data-moment")


@register.filter
def ago(when: datetime | None) -> SafeString | str:
    """How long ago that was, with the exact time as its title."""
    if not when:
        return NOTHING
    seconds = int((timezone.now() - when).total_seconds())
    unit, size = next(((unit, size) for unit, size in UNITS if seconds >= size), ("s", 1))
    return _time(when, f"{seconds // size} {unit} ago" if seconds > 0 else "just now")


def _link(number: re.Match[str]) -> str:
    return format_html('<a href="{}">{}</a>', reverse("run", args=[number[1]]), number[0])


def _time(when: datetime, words: str, *, mark: str = "") -> SafeString:
    exact = f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return format_html('<time datetime="{}" title="{}"{}>{}</time>', when.isoformat(), exact, mark, words)
