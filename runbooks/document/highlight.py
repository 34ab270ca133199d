"""Colours for a document's code, as classes; code that would take too long to colour stays plain."""

import time
from collections.abc import Iterator, Mapping
from html import escape

import pygments
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from runbooks.document.pictured import pictured
from runbooks.document.runbook import Severity

# Pygments' regular expressions take minutes for what an attacker writes, and ever more of them for more of it.
LONGEST_HIGHLIGHTED = 10_000
# The clock is looked at between matches, and one match of a session's prompt in a long line takes seconds.
LONGEST_LINE = 1_000
SECONDS = 0.3


class Highlighter:
    """Highlights the code of one document, until its length or time is used up."""

    def __init__(self) -> None:
        self.left = LONGEST_HIGHLIGHTED
        self.seconds = SECONDS

    def html(self, code: str, language: str) -> str:
        # A script that reads differently from what it does would be approved for what it seems to do.
        code = pictured(code)
        if not self._is_cheap(code, language):
            return escape(code)
        self.left -= len(code)
        started = time.thread_time()
        try:
            lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
            return pygments.format(_tokens(lexer, code, until=started + self.seconds), HtmlFormatter(nowrap=True))
        except (ClassNotFound, TimeoutError):
            return escape(code)
        finally:
            self.seconds -= time.thread_time() - started

    def _is_cheap(self, code: str, language: str) -> bool:
        if language in ("", "text") or len(code) > self.left or self.seconds <= 0:
            return False
        return all(len(line) <= LONGEST_LINE for line in code.split("\n"))


def with_wrong_lines(html: str, wrong: Mapping[int, Severity], *, first: int = 1) -> str:
    """Highlighted code whose wrong lines are marked, each as what it is, counted from the number of the first."""
    # Pygments ends each of its spans at the end of a line.
    lines = enumerate(html.split("\n"), first)
    return "\n".join(_marked(line, wrong[number]) if number in wrong else line for number, line in lines)


def _marked(line: str, severity: Severity) -> str:
    return f'<span class="wrong{" wrong--error" if severity == "error" else ""}">{line}</span>'


def _tokens(lexer: Lexer, code: str, *, until: float) -> Iterator[tuple[object, str]]:
    for token in lexer.get_tokens(code):
        if time.thread_time() > until:
            raise TimeoutError
        yield token
