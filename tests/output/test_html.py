r"""Log lines as HTML: nothing harmful passes, colours and `\r` do what a terminal does."""

import re
import time
from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooks.output.html import Style, line_html
from runbooks.output.lines import Lines
from tests.output.conftest import line

ALLOWED = re.compile(r'<span class="(?:(?:fg|bg)\d+|bold|dim|italic|underline|inverse|strike)(?: [a-z0-9]+)*">|</span>')


def shown(text: str) -> str:
    return line_html(text, Style())


def render(lines: Lines, data: bytes) -> tuple[list[str], list[tuple[int, str]]]:
    """The lines that are new, and those that had begun before."""
    known = lines.count
    rows = lines.render(data)
    return [row for number, row in rows.items() if number > known], [row for row in rows.items() if row[0] <= known]


def text_of(html: str) -> str:
    return unescape(re.sub(r"<[^>]*>", "", html))


@given(st.text())
def test_whatever_is_printed_the_only_markup_is_ours(text):
    assert "<" not in ALLOWED.sub("", shown(text))


@given(st.text(alphabet="\x1b[]0;123m8\\\x07<a href='x'>&\r\x9b"))
def test_whatever_sequences_are_mangled_the_only_markup_is_ours(text):
    html = shown(text)
    assert "<" not in ALLOWED.sub("", html)
    assert "\x1b" not in html
    assert "\r" not in html


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_ordinary_text_is_shown_as_it_is(text):
    # Directional controls are format characters, which are not among these.
    assert text_of(shown(text)) == text


@pytest.mark.parametrize("payload", ["<script>alert(1)</script>", '<img src=x onerror="alert(1)">', "<b hx-get=/x>"])
def test_markup_is_text(payload):
    class NoTags(HTMLParser):
        def handle_starttag(self, tag, attrs):
            raise AssertionError(tag)

    NoTags().feed(shown(payload))
    assert text_of(shown(payload)) == payload


def test_a_link_of_the_terminal_leaves_its_text():
    assert shown("see \x1b]8;;javascript:alert(1)\x1b\\here\x1b]8;;\x1b\\ now") == "see here now"


def test_a_sequence_that_never_ends_hides_nothing():
    assert "the rest" in shown("\x1b]0;the rest of the line")


@pytest.mark.parametrize(
    ("control", "picture"), [("\0", "␀"), ("\b", "␈"), ("\x7f", "␡"), ("\x9b", "�"), ("\u202e", "�")]
)
def test_control_characters_are_shown_as_pictures(control, picture):
    assert shown(f"a{control}b") == f"a{picture}b"


@pytest.mark.parametrize(
    ("sequence", "classes"),
    [
        ("31", "fg1"),
        ("1;4", "bold underline"),
        ("97;44", "fg15 bg4"),
        ("38;5;9", "fg9"),
        ("38;5;196", "fg9"),
        ("48;2;0;0;255", "bg12"),
        ("38:2:255:255:255", "fg15"),
    ],
)
def test_colours_come_from_a_fixed_table(sequence, classes):
    assert shown(f"\x1b[{sequence}mtext\x1b[0m") == f'<span class="{classes}">text</span>'


def test_a_colour_lasts_until_it_is_taken_back():
    lines = Lines()
    rows, _ = render(lines, line("\x1b[32mgreen") + line("still") + line("\x1b[39mno more"))
    assert ["fg2" in row for row in rows] == [True, True, False]


def test_a_colour_of_one_stream_does_not_colour_the_other():
    rows, _ = render(Lines(), line("\x1b[32mgreen") + line("plain", stream="stderr"))
    assert "fg2" not in rows[1]


@pytest.mark.parametrize(
    ("text", "left"),
    [("10 %\r20 %\r30 %", "30 %"), ("done\r", "done"), ("\x1b[31mone\rtwo\x1b[0m", "two"), ("\r\r", "")],
)
def test_a_carriage_return_begins_the_line_anew(text, left):
    assert text_of(shown(text)) == left


def test_a_progress_bar_stays_one_line():
    lines = Lines()
    rows, changed = render(lines, line("10 %", tag="P"))
    assert (len(rows), changed) == (1, [])
    rows, changed = render(lines, line("\r20 %", tag="P") + line("\r30 %", tag="P"))
    assert rows == []
    assert [(number, text_of(html)[-4:]) for number, html in changed] == [(1, "30 %")]
    rows, changed = render(lines, line("\rdone") + line("next"))
    assert (text_of(rows[0])[-4:], [number for number, _ in changed]) == ("next", [1])


def test_two_streams_may_each_have_an_unfinished_line():
    lines = Lines()
    render(lines, line("out", tag="P") + line("err", stream="stderr", tag="P"))
    _, changed = render(lines, line(" and more", stream="stderr") + line(" too"))
    assert sorted((number, text_of(html)[13:]) for number, html in changed) == [
        (1, "out too"),
        (2, "stderr: err and more"),
    ]


def test_a_character_that_came_in_two_parts_is_whole():
    rows, _ = render(Lines(), line("é".encode()[:1], tag="P") + line("é".encode()[1:]))
    assert text_of(rows[0]).endswith("é")


def test_a_very_long_line_is_cut_and_says_so():
    rows, _ = render(Lines(), line("x" * 65536, tag="P") * 3 + line(""))
    assert len(rows) == 1
    assert len(rows[0]) < 20_000
    assert "more bytes" in rows[0]


def test_a_progress_bar_without_an_end_stays_small():
    lines = Lines()
    for number in range(3000):
        _, changed = render(lines, line(f"\r{number} of 3000 files", tag="P"))
    assert text_of(changed[0][1]).endswith("2999 of 3000 files")
    assert len(lines.open["stdout"].content) < 40_000


LOGS = st.lists(
    st.builds(
        line,
        st.sampled_from(["", "plain", "\x1b[31mred", "\x1b[0mno more", "a\rb", "\x1b[1;4", "…"]),
        stream=st.sampled_from(["stdout", "stderr"]),
        tag=st.sampled_from("FFP"),
    ),
    max_size=30,
)


@given(LOGS, LOGS)
def test_who_skips_the_beginning_sees_the_rest_like_who_saw_all(first, second):
    seen, skipped = Lines(), Lines()
    seen.render(b"".join(first))
    skipped.skip(b"".join(first))
    assert skipped.render(b"".join(second)) == seen.render(b"".join(second))


def test_a_colour_with_too_many_numbers_is_dropped():
    assert shown(f"\x1b[{'1' * 5000}mtext") == "text"


def test_an_hour_of_a_progress_bar_is_rendered_in_no_time():
    lines, log = Lines(), b"".join(line(f"\r\x1b[32m{number} %\x1b[0m", tag="P") for number in range(20_000))
    began = time.process_time()
    lines.render(log)
    Lines().skip(log)
    assert time.process_time() - began < 5
    assert text_of(lines.render(line("")).popitem()[1]).endswith("19999 %")


def test_a_line_in_a_thousand_parts_is_rendered_in_no_time():
    lines, log = Lines(), b"".join(line("\x1b[32m.\x1b[0m", tag="P") for _ in range(5000))
    began = time.process_time()
    lines.render(log)
    assert time.process_time() - began < 5
