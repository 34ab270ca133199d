"""Properties over generated and mangled files."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from runbooks.document.history import CannotWrite, Entry, appended
from runbooks.document.outline import outline
from runbooks.document.parse import parse, without_history
from runbooks.document.render import render
from runbooks.document.runbook import Requirement, Runbook
from runbooks.document.values import is_refused_name

from .examples import a_runbook, parsed, section

ENTRY = Entry(7, datetime(2026, 11, 22, tzinfo=UTC), "failed", 1, "alice", "", "")
quick = settings(deadline=None, max_examples=150)
GOOD = a_runbook(extra=section("Required Claims", "roles: sre") + section("Settings", "timeout: 5"))
MARKS = ("```", "~~~", "# ", "# Script\n", "# History\n", "## x\nRun 7 by `x`\n", "===", "\n", "\r", "\r\n", "\t", "\0")
YAML = (
    "yaml",
    ": ",
    "- ",
    "&a ",
    "*a",
    "!!",
    "{",
    "[",
    "'",
    '"\\U',
    "|",
    "? ",
    "%YAML 1",
    "---",
    "<<: ",
    "   ",
    "\ufeff",
)
PIECES = st.sampled_from(MARKS + YAML)
WORDS = st.text("abcdefghijklmnopqrstuvwxyz é:#'\"-*`!{", max_size=30)
NAMES = st.from_regex(r"[A-Z_][A-Z0-9_]{0,10}", fullmatch=True).filter(lambda name: not is_refused_name(name))


@st.composite
def mangled(draw) -> bytes:
    """The good runbook with some places overwritten, cut or stuffed."""
    text = GOOD
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, len(text)))
        text = text[:place] + draw(PIECES | st.text(max_size=5)) + text[place + draw(st.integers(0, 20)) :]
    return text.encode("utf-8", "surrogateescape" if draw(st.booleans()) else "replace")


def messages(runbook: Runbook) -> set[tuple[str, str]]:
    """The problems without their lines: a section that wrongly stands after History moves down."""
    return {(problem.section, problem.message) for problem in runbook.problems}


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "replace")))
@quick
def test_no_bytes_at_all_make_parse_raise(source):
    assert parse(source, name="Check").errors
    assert isinstance(without_history(source), str)


@given(mangled())
@quick
def test_no_mangled_runbook_makes_parse_raise_and_problems_have_lines_of_the_file(source):
    runbook = parse(source, name="Check")
    assert all(1 <= problem.line <= source.count(b"\n") + 1 for problem in runbook.problems)
    assert "\r\n" not in runbook.documentation


@given(st.dictionaries(NAMES, WORDS, max_size=5), st.lists(WORDS.filter(str.strip), min_size=1, max_size=3))
@quick
def test_what_an_author_writes_is_what_is_read(variables, choices):
    environment = "".join(f"{name}: {quoted(text)}\n" for name, text in variables.items())
    listed = ", ".join(quoted(choice) for choice in choices)
    assume("CHOSEN" not in variables)
    runbook = parsed(
        a_runbook(environment=f"{environment}CHOSEN: {{choices: [{listed}], default: {quoted(choices[0])}}}")
    )
    expected = [Requirement(name, text) for name, text in variables.items()]
    chosen = Requirement("CHOSEN", type="choice", choices=tuple(choices), default=choices[0])
    assert runbook.requirements == (*expected, chosen)
    assert not runbook.errors


@given(st.lists(st.text("ab`~# \t", max_size=12), min_size=1, max_size=8))
@quick
def test_a_script_is_read_as_it_was_written(lines):
    script = "\n".join(lines)
    assume(script.strip())
    text = a_runbook(script=script).replace("```sh\n", "`````````````sh\n")
    runbook = parsed(text.replace(f"{script}\n```\n", f"{script}\n`````````````\n"))
    assert runbook.script.text == script + "\n"
    assert not runbook.errors


@given(mangled(), st.text(), st.lists(PIECES).map("".join), st.integers(1, 3))
@quick
def test_no_output_changes_what_the_rest_of_the_file_says(source, stdout, stderr, keep):
    before = parse(source, name="Check")
    try:
        changed = appended(source, replace(ENTRY, stdout=stdout, stderr=stderr), keep=keep)
    except CannotWrite:
        assert any("never closed" in problem.message for problem in before.problems)
        return
    after = parse(changed, name="Check")
    assert messages(after) == messages(before)
    assert (after.script and after.script.text) == (before.script and before.script.text)
    assert after.documentation.rstrip("\r\n") == before.documentation.rstrip("\r\n")
    titles = [section.title for section in outline(source.decode(errors="replace")).sections]
    added = [] if "History" in titles else ["History"]
    assert [section.title for section in outline(changed.decode(errors="replace")).sections] == titles + added
    assert appended(changed, ENTRY, keep=keep) == changed


class Markup(HTMLParser):
    """The tags and attributes that a browser would see."""

    def __init__(self):
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


HTML = st.sampled_from(
    ["<b onclick=x>", "<script>", "<style>", "|a|\n|-:|\n|<b>|\n", "[a](x 'y')", '![a"b](x)', '```"><b>\n', "<a:b>"]
)


@given(st.lists(HTML | PIECES | st.text(max_size=8), max_size=12).map("".join))
@quick
def test_no_markdown_gives_markup_that_is_not_ours(markdown):
    found = Markup()
    found.feed(render(markdown))
    assert not found.tags & {"script", "style", "b", "iframe", "form", "input"}
    assert found.attributes <= {"id", "class", "href", "rel", "src", "alt", "title", "start"}


@pytest.mark.parametrize(
    "piece",
    ["# ", "# History\n", "# Script\n```\n```\n", "```", "```\n", " ", "[", "- ", "#", "\r", "Settings\n===\n", "=\n"],
)
def test_a_megabyte_of_anything_is_read_at_once(piece):
    started = time.process_time()
    parse((GOOD + piece * (1_000_000 // len(piece))).encode(), name="Check")
    assert time.process_time() - started < 1


def test_the_largest_yaml_blocks_are_read_at_once():
    block = "a:\n" * 5_400
    started = time.process_time()
    runbook = parsed(
        a_runbook(environment=block, files=block, extra=section("Required Claims", block) + section("Settings", block))
    )
    assert len(runbook.problems) == 101
    assert time.process_time() - started < 2


@pytest.mark.parametrize("piece", ["![[", "[", "*a_ ", "- ", "> ", "`a\n", "|a|\n|-|\n", "[a]: b\n", "~a~~"])
def test_any_markdown_is_rendered_in_about_a_second(piece):
    started = time.process_time()
    assert render("|a|b|\n|-|-|\n" + piece * (190_000 // len(piece)))
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("language", "piece"), [("perl", "s{"), ("java", "\n"), ("typescript", "a."), ("python", " \n"), ("console", "a::")]
)
def test_any_code_is_highlighted_or_plain_in_about_a_second(language, piece):
    code = piece * (9_000 // len(piece))
    started = time.process_time()
    html = render(f"```{language}\n{code}\n```\n" * 3)
    assert html.count(f'class="language-{language}"') == 3
    assert time.process_time() - started < 2
