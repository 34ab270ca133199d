"""Markdown to HTML that is safe to show: no HTML of the author's, no styles, headings that fit below the page's own."""

import re
import time
from collections import Counter
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.common.utils import unescapeAll
from markdown_it.renderer import RendererHTML
from markdown_it.ruler import StateBase
from markdown_it.token import Token

from runbooks.document.highlight import Highlighter

# Deeply nested markdown takes longer than linear time, and every other request would wait for it.
PARSE_SECONDS = 0.4
LONGEST_RENDERED = 200_000
LONGEST_SUMMARY_SOURCE = 4_000
ALIGNMENT = re.compile(r"text-align:(left|center|right)")


def render(markdown: str, *, ids: str = "doc") -> str:
    """The markdown as HTML; heading ids begin with ids, so that no heading can pose as an element of the page."""
    if len(markdown) > LONGEST_RENDERED:
        return f"<pre>{escape(markdown)}</pre>"
    try:
        tokens = _MARKDOWN.parse(markdown, {"until": time.thread_time() + PARSE_SECONDS})
    except TimeoutError:
        return f"<pre>{escape(markdown)}</pre>"
    _lower_headings(tokens, ids)
    for token in tokens:
        _align_by_class(token)
        for child in token.children or ():
            _guard_link(child, ids)
    return _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {"highlighter": Highlighter()})


def plain(markdown: str) -> str:
    """The first paragraph without markup, in one line."""
    try:
        until = time.thread_time() + PARSE_SECONDS
        tokens = _MARKDOWN.parse(markdown[:LONGEST_SUMMARY_SOURCE], {"until": until})
    except TimeoutError:
        return ""
    for token, following in pairwise(tokens):
        if token.type == "paragraph_open" and token.level == 0:
            return " ".join("".join(_texts(following.children or ())).split())
    return ""


def _texts(tokens: Sequence[Token]) -> list[str]:
    breaks = ("softbreak", "hardbreak")
    return [" " if token.type in breaks else token.content for token in tokens]


def _fence(_self: RendererHTML, tokens: Sequence[Token], index: int, _options: object, env: dict[str, Any]) -> str:
    code, info = tokens[index].content, unescapeAll(tokens[index].info).split(maxsplit=1)
    language = info[0] if info else ""
    spans = env["highlighter"].html(code, language)
    return f'<pre class="highlight"><code class="language-{escape(language) or "text"}">{spans}</code></pre>\n'


def _in_time(state: StateBase, *_place: object) -> bool:
    """A rule for no text at all: the parser asks it at each step."""
    if time.thread_time() > state.env["until"]:
        raise TimeoutError
    return False


def _markdown() -> MarkdownIt:
    # With html on, which is the default of this preset, a runbook could run scripts in every viewer's browser.
    markdown = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    markdown.add_render_rule("fence", _fence)
    within = {"alt": ["paragraph", "reference", "blockquote", "list"]}
    markdown.block.ruler.before("table", "in_time", _in_time, within)
    markdown.inline.ruler.before("text", "in_time", _in_time)
    markdown.inline.ruler2.before("balance_pairs", "in_time", _in_time)
    return markdown


_MARKDOWN = _markdown()


def _lower_headings(tokens: Sequence[Token], ids: str) -> None:
    used: Counter[str] = Counter()
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            slug = _slug("".join(_texts(tokens[index + 1].children or ())))
            used[slug] += 1
            token.attrSet("id", f"{ids}-{slug}" if used[slug] == 1 else f"{ids}-{slug}-{used[slug]}")
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + 1, 6)}"


def _slug(title: str) -> str:
    return re.sub(r"[^\w]+", "-", title[:60].casefold()).strip("-") or "section"


def _align_by_class(token: Token) -> None:
    """Columns are aligned by inline styles otherwise, which the Content-Security-Policy forbids."""
    style = token.attrs.pop("style", "")
    if match := ALIGNMENT.fullmatch(str(style)):
        token.attrSet("class", f"align-{match[1]}")


def _guard_link(token: Token, ids: str) -> None:
    if token.type != "link_open":
        return
    token.attrSet("rel", "noopener noreferrer")
    target = str(token.attrs.get("href", ""))
    if target.startswith("#") and len(target) > 1:
        token.attrSet("href", f"#{ids}-{target[1:]}")
