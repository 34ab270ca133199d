"""Any lines of any log: the same rows, whatever is asked first, as if the whole log had been shown."""

import random

import pytest

from runbooks.output import index, windows
from runbooks.output.index import index_of
from runbooks.output.lines import Lines
from runbooks.output.windows import LARGEST, MOST, Windows
from tests.output.conftest import entries, line

pytestmark = pytest.mark.usefixtures("small_steps")


def all_rows(data: bytes) -> dict[int, str]:
    return dict(sorted(Lines().render(data).items()))


def between(rows: dict[int, str], first: int, last: int, *, only_stderr: bool = False) -> dict[int, str]:
    found = {number: row for number, row in rows.items() if first <= number <= last}
    return {n: row for n, row in found.items() if "log__line--stderr" in row} if only_stderr else found


@pytest.mark.parametrize("only_stderr", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_a_window_shows_lines_as_the_whole_log_does(a_log, seed, only_stderr):
    data = entries(seed, stderr=[0.3, 0.9, 0.01][seed % 3], parts=[0.3, 0, 0.9, 0.01][seed % 4])
    log, rows, dice = a_log(data), all_rows(data), random.Random(seed)
    for _ in range(8):
        way, number = dice.choice(["beginning_with", "before", "around"]), dice.randrange(1, len(rows) + 10)
        window = getattr(Windows(log), way)(number, only_stderr=only_stderr)
        assert window.rows == between(rows, window.first, window.last, only_stderr=only_stderr), (way, number)
        assert (window.count, window.end) == (len(rows), len(data))
        assert len(window.rows) <= MOST


def test_the_first_window_is_the_end(a_log):
    window = Windows(a_log(b"".join(line(f"{number}") for number in range(1, 2001)))).at_end()
    assert (window.first, window.last, window.count) == (1501, 2000, 2000)
    assert list(window.rows) == list(range(1501, 2001))


@pytest.mark.parametrize("only_stderr", [False, True])
def test_one_comes_from_the_end_to_the_beginning_and_back_without_a_gap(a_log, only_stderr):
    data = entries(3, most=4000)
    log, rows, shown = a_log(data), all_rows(data), {}
    window = Windows(log).at_end(only_stderr=only_stderr)
    while window.first > 1:
        window = Windows(log).before(window.first, only_stderr=only_stderr)
    while window.last < window.count:
        shown |= window.rows
        window = Windows(log).beginning_with(window.last + 1, only_stderr=only_stderr)
    assert shown | window.rows == between(rows, 1, len(rows), only_stderr=only_stderr)


def test_a_line_that_ends_a_thousand_lines_later_is_whole(a_log):
    log = a_log(line("begun", tag="P") + line("other", stream="stderr") * 1000 + line(" and ended"))
    assert "begun and ended</span>" in Windows(log).beginning_with(1).rows[1]


def test_a_log_that_grows_is_read_on(a_log):
    log = a_log(line("one") * 100)
    assert Windows(log).count == 100
    with log.open("ab") as file:
        file.write(line("two") * 100 + b"half a li")
    window = Windows(log).around(150)
    assert (window.count, window.end) == (200, 200 * len(line("one")))
    assert "two" in window.rows[101]


def test_another_log_in_its_place_is_another_log(a_log, tmp_path):
    log = a_log(line("old") * 1000)
    assert Windows(log).count == 1000
    (tmp_path / "new").write_bytes(line("new") * 2000)
    (tmp_path / "new").rename(log)
    assert "new" in Windows(log).beginning_with(1).rows[1]
    log.unlink()
    assert (Windows(log).at_end().rows, Windows(log).count) == ({}, 0)


def test_three_lines_of_stderr_are_found_at_once_and_the_rest_is_covered(a_log):
    log = a_log(b"".join(line(f"{n}", stream="stderr" if n in (7, 3000, 4990) else "stdout") for n in range(1, 5001)))
    window = Windows(log).at_end(only_stderr=True)
    assert (list(window.rows), window.first, window.last) == ([7, 3000, 4990], 1, 5000)


def test_only_so_much_is_looked_at_for_lines_of_stderr(a_log, monkeypatch):
    monkeypatch.setattr(windows, "LOOKED_AT", 6000)
    log = a_log((line("out") * 60 + line("err", stream="stderr")) * 20)
    window = Windows(log).at_end(only_stderr=True)
    assert 1 < window.first < window.last == window.count == 61 * 20
    assert all(number % 61 == 0 for number in window.rows)


def test_very_long_lines_are_fewer(a_log):
    log = a_log(line("x" * 16_000) * 200)
    window = Windows(log).around(100)
    assert window.first < 100 < window.last
    assert sum(map(len, window.rows.values())) <= LARGEST
    assert Windows(log).at_end().last == 200
    assert Windows(log).beginning_with(50).first == 50


def test_a_very_large_log_has_fewer_places(a_log, monkeypatch):
    monkeypatch.setattr(index, "MOST", 8)
    data = entries(5, stderr=0.02) + line("out") * 1000 + entries(7)
    log, rows = a_log(data), all_rows(data)
    assert Windows(log).around(500).rows == between(rows, 250, 749)
    assert len(index_of(log).known()) <= 8 + 2
    window = Windows(log).beginning_with(1, only_stderr=True)
    assert window.rows == between(rows, 1, window.last, only_stderr=True)
