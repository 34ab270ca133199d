"""Markdown to HTML that is safe to show: no HTML of the author's, no styles, headings that fit below the page's own."""

import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.common.utils import unescapeAll
from markdown_it.renderer import RendererHTML
from markdown_it.ruler import StateBase
from markdown_it.token import Token

from runbooks.document.highlight import Highlighter, with_wrong_lines
from runbooks.document.runbook import Severity

# Deeply nested markdown takes longer than linear time, and every other request would wait for it.
PARSE_SECONDS = 0.4
LONGEST_RENDERED = 200_000
LONGEST_SUMMARY_SOURCE = 4_000
ALIGNMENT = re.compile(r"text-align:(left|center|right)")


def render(
    markdown: str,
    *,
    ids: str = "doc",
    has_links: bool = False,
    below: Mapping[int, str] | None = None,
    wrong: Mapping[int, Severity] | None = None,
) -> str:
    """The markdown as HTML; heading ids begin with ids, so that no heading can pose as an element of the page.

    Each heading may have a link to itself; below those in certain lines stands HTML of ours; wrong lines of code are
    marked.
    """
    if len(markdown) > LONGEST_RENDERED:
        return f"<pre>{escape(markdown)}</pre>"
    try:
        tokens = _MARKDOWN.parse(markdown, {"until": time.thread_time() + PARSE_SECONDS})
    except TimeoutError:
        return f"<pre>{escape(markdown)}</pre>"
    _lower_headings(tokens, ids)
    if has_links:
        _link_headings(tokens)
    tokens = _with_html(tokens, below or {})
    for token in tokens:
        _align_by_class(token)
        for child in token.children or ():
            _guard_link(child, ids)
    return _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {"highlighter": Highlighter(), "wrong": wrong})


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
    if env["wrong"] and tokens[index].map:
        spans = with_wrong_lines(spans, env["wrong"], first=tokens[index].map[0] + 2)
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


def _link_headings(tokens: Sequence[Token]) -> None:
    for heading, text in pairwise(tokens):
        if heading.type == "heading_open":
            title = escape(" ".join("".join(_texts(text.children or ())).split()))
            address = escape(f"#{heading.attrs['id']}")
            link = f' <a class="document__link" href="{address}" aria-label="Link to {title}">#</a>'
            text.children = [*(text.children or ()), _html(link, "html_inline")]


def _with_html(tokens: Sequence[Token], below: Mapping[int, str]) -> list[Token]:
    """The tokens, with HTML of ours below the headings in these lines of the text."""
    more, line = [], 0
    for token in tokens:
        more.append(token)
        if token.type == "heading_open" and token.map:
            line = token.map[0] + 1
        elif token.type == "heading_close" and line in below:
            more.append(_html(below[line], "html_block"))
    return more


def _html(content: str, type: str) -> Token:
    """A piece of HTML that is ours: the parser makes none of an author's."""
    return Token(type, "", 0, content=content)


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
