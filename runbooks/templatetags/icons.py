"""The one set of icons, drawn for us on a grid of 24 units and written into the page: no request, no font, no flash."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

ICONS = {
    "alert": "M12 4 2.5 20h19L12 4zM12 10v4.5M12 17.2v.3",
    "bell": "M6 16v-5a6 6 0 0 1 12 0v5l1.5 2h-15L6 16zM10 21h4",
    "chart": "M4 20V4M4 20h16M8.5 16v-4M13 16V8M17.5 16v-6",
    "check": "M4.5 12.5 10 18 19.5 7",
    "clock": "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7v5.2l3.5 2",
    "compare": "M9 4v16M15 4v16M9 8H3M21 16h-6M5.5 5.5 3 8l2.5 2.5M18.5 13.5 21 16l-2.5 2.5",
    "copy": "M9 9h11v11H9zM15 9V4H4v11h5",
    "cross": "M6 6l12 12M18 6 6 18",
    "doctor": "M3 12h4l2.5-7 5 14L17 12h4",
    "down": "M6 9.5l6 6 6-6",
    "download": "M12 4v11M7 10.5l5 5 5-5M4.5 20h15",
    "end": "M12 4v12M7 11.5l5 5 5-5M5 20h14",
    "eye": "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zM12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
    "file": "M6 3h8l4 4v14H6zM14 3v4h4",
    "filter": "M4 5h16l-6 7.5V19l-4 1.5v-8z",
    "folder": "M3 6h6l2 2.5h10V19H3z",
    "link": "M10 14l4-4M8.5 11 6 13.5a3.2 3.2 0 0 0 4.5 4.5L13 15.5M15.5 13 18 10.5A3.2 3.2 0 0 0 13.5 6L11 8.5",
    "lock": "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
    "note": "M5 4h14v11l-5 5H5zM14 20v-5h5M8.5 9h7M8.5 12.5h4",
    "person": "M12 4.5a3.7 3.7 0 1 0 0 7.4 3.7 3.7 0 0 0 0-7.4zM4.5 20.5c.6-4 3.6-6 7.5-6s6.9 2 7.5 6",
    "pin": "M9 4h6l-1 6 4 4H6l4-4zM12 14v6.5",
    "play": "M7.5 4.5 19 12 7.5 19.5z",
    "repeat": "M5 12a7 7 0 0 1 12-5l2.5 2.5M19.5 4.5v5h-5M19 12a7 7 0 0 1-12 5l-2.5-2.5M4.5 19.5v-5h5",
    "search": "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5 20.5 20.5",
    "settings": "M4 7h9M17 7h3M4 17h3M11 17h9M15 5a2 2 0 1 0 0 4 2 2 0 0 0 0-4zM9 15a2 2 0 1 0 0 4 2 2 0 0 0 0-4z",
    "star": "M12 3.5l2.6 5.6 6.1.7-4.5 4.2 1.2 6-5.4-3-5.4 3 1.2-6-4.5-4.2 6.1-.7z",
    "stop": "M6 6h12v12H6z",
    "up": "M6 14.5l6-6 6 6",
    "wrap": "M4 6h16M4 12h13a3.5 3.5 0 0 1 0 7h-4M15.5 16.5 13 19l2.5 2.5M4 18h4",
}


@register.simple_tag
def icon(name: str, *, is_filled: bool = False) -> SafeString:
    """The icon of this name, which says nothing to a screen reader: a word stands beside it, or hidden in it."""
    return format_html(
        '<svg class="icon{}" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d="{}"/></svg>',
        " icon--filled" if is_filled else "",
        mark_safe(ICONS[name]),  # noqa: S308 - our own constants
    )
