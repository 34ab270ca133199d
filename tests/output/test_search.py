"""Looking for a text in a log: what a reader sees is found, and nothing else, however the log came to be."""

import random
from html import unescape

import pytest

from runbooks.output import search
from runbooks.output.lines import Lines
from runbooks.output.search import Found, Query
from tests.output.conftest import TEXTS, entries, line, text_of


@pytest.fixture
def found(a_log):
    """What is found in a log of these entries."""

    def found(data: bytes, text: str, **options) -> Found:
        start = options.pop("start", 1)
        return search.search(a_log(data), Query(text, **options), start=start)

    return found


@pytest.mark.parametrize("text", ["checking", "CHECKING", "king the", "Checking the réplica", "réplica", "RÉPLICA"])
def test_a_line_is_found_in_capital_letters_or_small_ones(found, text):
    answer = found(line("begin") + line("Checking the réplica") + line("end"), text)
    assert (answer.lines, answer.until, answer.is_complete) == ([2], 3, True)
    assert answer.texts == {2: "Checking the réplica"}


@pytest.mark.parametrize(("text", "lines"), [("Error", [1]), ("error", [2]), ("é", [])])
def test_capital_letters_may_matter(found, text, lines):
    assert found(line("Error É") + line("error"), text, is_exact=True).lines == lines


@pytest.mark.parametrize("text", ["2026-11", "stdout", "stderr", " F ", "T16:"])
def test_the_frame_is_not_looked_at(found, text):
    assert found(line("one") + line("two", stream="stderr") + line("th", tag="P") + line("ree"), text).lines == []


def test_a_colour_in_the_midst_of_a_word_does_not_hide_it(found):
    data = line("plain") + line("fa\x1b[1;31mil\x1b[0med") + line("fa\x1b[Kil\x1b]0;title\x07ed")
    assert found(data, "failed").lines == [2, 3]


@pytest.mark.parametrize("text", ["31", "[1", "\x1b[", "title", "m"])
def test_what_only_sets_a_colour_or_a_title_is_not_found(found, text):
    assert found(line("fa\x1b[1;31mil\x1b[0ed\x1b]0;title\x07"), text).lines == []


def test_however_often_the_colour_changes_it_takes_no_time(found):
    data = line("a" + "\x1b[31m" * 2000 + "c")
    assert (found(data, "ab").lines, found(data, "AC").lines) == ([], [1])


def test_what_is_no_colour_hides_nothing_either(found):
    assert found(line("fa\x1bPsome\x07iled"), "FAILED").lines == [1]


def test_of_a_progress_bar_only_its_last_state_is_found(found):
    data = line("copying 10%\rcopying 100%\r", tag="P") + line("") + line("12%\r13%")
    assert (found(data, "10%").lines, found(data, "100%").lines, found(data, "12%").lines) == ([], [1], [])


def test_a_control_character_is_found_by_its_picture(found):
    answer = found(line("a\0b") + line("c"), "a␀B")
    assert (answer.lines, answer.texts) == ([1], {1: "a␀b"})


def test_a_line_in_parts_is_one_text(found):
    data = line("be", tag="P") + line("other", stream="stderr") + line("gun") + line("begun") + line("be")
    assert found(data, "begun").lines == [1, 3]


def test_only_stderr_may_be_looked_at(found):
    data = line("bad") + line("bad", stream="stderr") + line("ba", tag="P") + line("ba", stream="stderr", tag="P")
    assert found(data + line("d", stream="stderr") + line("d"), "bad", only_stderr=True).lines == [2, 4]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("text", ["red", "50%", "ü><", "plainplain", "d<", "nowhere"])
@pytest.mark.usefixtures("small_steps")
def test_what_is_found_is_what_is_shown(found, seed, text):
    data = entries(seed, parts=[0.3, 0, 0.01][seed % 3])
    shown = {number: unescape(text_of(row)) for number, row in Lines().render(data).items()}
    numbers = sorted(number for number, row in shown.items() if text in row)
    answer = found(data, text)
    assert answer.lines == numbers
    assert len(answer.texts) == min(len(numbers), search.MOST_TEXTS)
    assert all(answer.texts[number] == shown[number] for number in answer.texts)
    middle = len(shown) // 2
    assert [n for n in found(data, text, start=middle).lines if n >= middle] == [n for n in numbers if n >= middle]


def test_so_many_are_told_and_the_rest_is_counted(found, monkeypatch):
    monkeypatch.setattr(search, "MOST", 100)
    data = line("here") * 250
    first = found(data, "here")
    assert (first.lines, first.count, first.until, first.is_complete) == (list(range(1, 101)), 250, 250, True)
    assert found(data, "here", start=201).lines == list(range(201, 251))


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("others", [0, 3])
@pytest.mark.parametrize("parts", range(6))
def test_a_search_in_pieces_finds_each_line_once_wherever_it_has_to_stop(a_log, parts, others):
    dice, data = random.Random(parts), []
    for number in range(1, 201):
        data += [line("part ", tag="P")] * dice.randint(0, 6 * parts) + [line(f"number {number}")]
        data += [line(dice.choice(TEXTS), stream="stderr", tag=dice.choice("FP"))] * dice.randint(0, others)
    shown = {number: text_of(row) for number, row in Lines().render(b"".join(data)).items()}
    log, pieces = a_log(b"".join(data)), [Found()]
    while not pieces[-1].is_complete:
        pieces.append(search.search(log, Query("number 1"), start=pieces[-1].until + 1, seconds=0))
        assert pieces[-1].until > pieces[-2].until or pieces[-1].is_complete
    assert len(pieces) > 5
    assert [n for found in pieces for n in found.lines] == sorted(n for n, text in shown.items() if "number 1" in text)


@pytest.mark.usefixtures("small_steps")
def test_a_line_that_does_not_end_holds_up_no_search(a_log):
    log = a_log(line("Password: ", tag="P") + line("other", stream="stderr") * 500)
    assert 0 < search.search(log, Query("other"), seconds=0, grace=0).until < 500


@pytest.mark.usefixtures("small_steps")
def test_a_search_may_stop_when_there_is_enough(a_log):
    found = search.search(a_log(line("here") * 500), Query("here"), enough=3)
    assert 3 <= found.count == found.until < 500


def test_of_what_is_found_it_is_told_what_went_to_stderr(found):
    data = line("here") + line("here", stream="stderr") + line("no") + line("here too", stream="stderr")
    assert found(data, "here").stderr == {2, 4}
    assert found(data, "here", start=3).stderr == {4}
    assert found(line("here") * 3, "here").stderr == set()


def test_lines_that_came_in_parts_went_to_stderr_too(found):
    data = line("he", tag="P") + line("he", stream="stderr", tag="P") + line("re") + line("re", stream="stderr")
    assert (found(data, "here").lines, found(data, "here").stderr) == ([1, 2], {2})
    assert found(line("one") + line("here", stream="stderr", tag="P"), "here").stderr == {2}


def test_a_line_that_had_not_ended_is_found_when_the_search_goes_on(a_log):
    log = a_log(line("begun", tag="P") + line("other", stream="stderr") * 3)
    first = search.search(log, Query("begun and ended"))
    assert (first.lines, first.until) == ([], 0)
    with log.open("ab") as file:
        file.write(line(" and ended"))
    assert search.search(log, Query("begun and ended"), start=first.until + 1).lines == [1]


def test_a_line_from_before_is_found_if_it_has_ended_only_now(a_log):
    log = a_log(line("begun", tag="P") + line("other", stream="stderr") * 3 + line(" and ended"))
    assert search.search(log, Query("and ended"), start=3).lines == [1]


def test_there_is_nothing_in_a_log_that_is_not_there(tmp_path):
    answer = search.search(tmp_path / "log", Query("anything"))
    assert (answer.lines, answer.until, answer.is_complete) == ([], 0, True)


@pytest.mark.parametrize("text", ["\n", "\nb", "a\nb", "\né"])
def test_a_text_of_two_lines_is_in_none(found, text):
    assert found(line("a") + line("b") + line("é") + line("c", tag="P") + line("d"), text).lines == []


def test_of_many_hits_those_around_a_line_are_told(a_log, monkeypatch):
    monkeypatch.setattr(search, "MOST", 10)
    log = a_log(b"".join(line(f"hit {number}") for number in range(1, 101)))
    end, middle, beginning = (search.search(log, Query("hit"), near=near) for near in (100, 50, 1))
    assert beginning.lines == list(range(1, 11))
    for answer, near in ((end, 100), (middle, 50)):
        assert near in answer.lines
        assert answer.lines == list(range(answer.skipped + 1, answer.skipped + 1 + len(answer.lines)))
        assert (answer.count, len(answer.lines) > 4) == (100, True)
