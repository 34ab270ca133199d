"""What of a runbook's text is shown beside its form: its author's words, and what is broken."""

import pytest

from runbooks.document.parse import parse
from runbooks.document.prose import prose
from tests.conftest import runbook_source


def shown(source: str, **options: object) -> str:
    return prose(source.encode(), name="restart", **options).text


def test_blocks_that_the_form_shows_better_are_left_out_with_their_headings():
    text = shown(runbook_source(about="Read *me*.", requirements={"HOST": "Where"}, claims={"roles": ["sre"]}))
    assert text.strip() == "Read *me*."


def test_an_authors_words_in_such_a_section_stay():
    source = runbook_source().replace("# Script\n", "# Script\n\nIt takes an hour.\n")
    assert shown(source).split() == ["Restarts", "the", "replica.", "#", "Script", "It", "takes", "an", "hour."]


def test_each_line_stays_where_it_is_in_the_file():
    source = runbook_source(about="One\n\nTwo") + "\n# Notes\n\nThree"
    before, after = source.split("\n"), shown(source).split("\n")
    assert len(before) == len(after)
    assert all(new in ("", old) for old, new in zip(before, after, strict=True))
    assert "Three" in after


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_history_is_never_shown_wherever_it_stands(end):
    source = "# restart\n\nA\n\n# History\n\nSecret\n\n```\n# no heading\n```\n\n# Notes\n\nB\n\n# History\n\nMore\n"
    assert shown(source.replace("\n", end)).split() == ["A", "#", "Notes", "B"]


def test_a_section_that_is_wrong_stays_with_its_block():
    source = runbook_source(requirements="HOST: [").replace("echo hello", "true")
    runbook = parse(source.encode(), name="restart")
    found = prose(source.encode(), name="restart", problems=runbook.problems)
    assert "HOST: [" in found.text
    assert "true" not in found.text
    line = found.heading_of(runbook.problems[0])
    assert source.split("\n")[line - 1] == "# Environment Requirements"


def test_what_is_wrong_in_a_section_that_is_not_shown_has_no_place():
    source = runbook_source().replace("# Script", "# Skript")
    runbook = parse(source.encode(), name="restart")
    found = prose(source.encode(), name="restart", problems=runbook.problems)
    places = {problem.section: found.heading_of(problem) for problem in runbook.problems}
    assert places["Script"] is None or source.split("\n")[places["Script"] - 1] == "# Skript"


def test_a_section_is_kept_if_nothing_else_shows_it():
    source = runbook_source(requirements={"HOST": "Where"}, claims={"roles": ["sre"]})
    text = shown(source, kept=("Environment Requirements",))
    assert "HOST: Where" in text
    assert "roles" not in text


def test_another_title_than_the_files_name_stays():
    assert "# other" in prose(runbook_source(name="other").encode(), name="restart").text


@pytest.mark.parametrize(
    "source", [b"", b"\xff\xfe", b"\xef\xbb\xbf# restart\n\nA", b"no heading", b"# restart", b"```sh\n# x", b"#\n" * 9]
)
def test_whatever_the_file_is_there_is_a_text(source):
    assert prose(source, name="restart").text.count("\n") <= source.count(b"\n")


def test_a_file_of_headings_alone_has_no_prose():
    assert prose(b"# a\n" * 40_000, name="restart").text == ""
