"""The charts' drawings, and the words that say the same."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from runbooks.models import Run
from runbooks.web.charts import HEIGHT, Bar, bars, duration_chart, ranking


def a_run(number: int, seconds: float | None, *, state: str = "succeeded") -> Run:
    now = timezone.now()
    started = now - timedelta(days=2)
    times = {} if seconds is None else {"started_at": started, "ended_at": started + timedelta(seconds=seconds)}
    return Run(pk=number, runbook="r.md", state=state, queued_at=started, **times)


def heights(svg: str) -> list[float]:
    return [float(height) for height in re.findall('class="chart__bar [^>]*height="([0-9.]+)"', svg)]


def test_the_runs_stand_from_the_oldest_to_the_newest_as_links():
    chart = duration_chart([a_run(3, 30), a_run(2, 60, state="failed"), a_run(1, 15)])
    assert re.findall('<a class="chart__link" href="([^"]+)"', chart) == ["/runs/1/", "/runs/2/", "/runs/3/"]
    assert heights(chart) == [HEIGHT / 4, HEIGHT, HEIGHT / 2]
    assert "<title>#2 failed after 1 min, 2 d ago</title>" in chart


def test_a_result_has_a_colour_a_pattern_and_a_mark():
    chart = duration_chart([a_run(2, 30, state="failed"), a_run(1, 30)], id="here")
    assert "chart__bar--failed" in chart
    assert 'fill="url(#here-stripes)"' in chart
    assert chart.count("chart__mark--failed") == 1
    assert "chart__mark--succeeded" not in chart


def test_one_huge_run_does_not_flatten_the_others():
    usual, huge = (duration_chart([a_run(4, longest), *(a_run(n, 10) for n in (3, 2, 1))]) for longest in (40, 1000))
    assert "square roots" not in usual
    assert "square roots" in huge
    assert heights(huge)[0] == pytest.approx(HEIGHT / 10, abs=0.1)


def test_the_words_count_the_results_and_say_what_is_typical():
    chart = duration_chart([a_run(2, 30, state="timed_out"), a_run(1, 90)], typical=75.0)
    for words in ("The last 2 runs", "1 succeeded", "1 timed out", "usually 1 min 15 s", "longest 1 min 30 s"):
        assert words in chart
    assert "chart__line--typical" in chart


@pytest.mark.parametrize(
    "runs",
    [
        [],
        [a_run(1, 0)],
        [a_run(1, None, state="refused"), a_run(2, None, state="queued")],
        [a_run(n, 1) for n in range(50)],
        [a_run(1, 10**9)],
    ],
    ids=["none", "of no time", "never begun", "fifty", "thirty years"],
)
def test_whatever_the_runs_are_there_is_a_chart(runs):
    chart = duration_chart(runs, typical=0.0)
    assert chart.count("<a ") == len(runs)
    assert all(height <= HEIGHT for height in heights(chart))


def test_a_run_that_never_began_has_a_mark_and_no_bar():
    chart = duration_chart([a_run(1, None, state="refused")])
    assert heights(chart) == []
    assert "chart__mark--refused" in chart


def test_no_chart_needs_a_style_that_the_policy_forbids():
    drawn = duration_chart([a_run(1, 2)]), bars([Bar("Mon", {"failed": 1})], id="x"), ranking([], heads=("a", "b"))
    assert "style=" not in "".join(drawn)


def test_columns_are_stacked_by_state_and_told_as_a_table():
    chart = bars([Bar("Mon", {"succeeded": 6, "failed": 2}, href="/runs/"), Bar("Tue", {})], id="days")
    assert heights(chart) == [pytest.approx(HEIGHT * 0.6), pytest.approx(HEIGHT * 0.2)]
    assert "<title>Mon: 6 succeeded, 2 failed</title>" in chart
    assert "<title>Tue: none</title>" in chart
    assert '<th scope="row"><a href="/runs/">Mon</a></th>' in chart
    assert '<td class="table__number">8</td>' in chart


@pytest.mark.parametrize(
    ("most", "ticks"),
    [(1, ["2", "1"]), (3, ["4", "2"]), (5, ["6", "3"]), (9, ["10", "5"]), (41, ["60", "30"]), (101, ["200", "100"])],
)
def test_the_axis_of_a_chart_of_counts_has_whole_numbers(most, ticks):
    chart = bars([Bar("Mon", {"succeeded": most})], id="days")
    assert re.findall(r'class="chart__label[^>]*>([^<]+)<', chart) == ticks


def test_a_chart_of_nothing_is_one_all_the_same():
    assert "<svg" in bars([], id="days")
    assert "<table" in ranking([], heads=("Runbook", "Runs"))


def test_a_ranking_has_bars_by_the_longest():
    table = ranking([Bar("a", {"succeeded": 3, "failed": 1}), Bar("b", {"": 2})], heads=("Runbook", "Runs"))
    assert re.findall('class="chart__bar[^>]* width="([^"]+)"', table) == ["75.00%", "25.00%", "50.00%"]
    assert "chart__bar--plain" in table


def test_names_are_no_markup():
    evil = Bar("<script>alert(1)</script>", {"failed": 1}, href='"><script>')
    assert "<script" not in bars([evil], id="x") + ranking([evil], heads=("a", "b"))


def test_a_ranking_tells_its_parts_by_more_than_colour():
    table = ranking([Bar("a", {"succeeded": 3, "failed": 1})], heads=("Runbook", "Runs"))
    assert '<span class="visually-hidden">: 3 succeeded, 1 failed</span>' in table
    assert 'fill="url(#runbook-runs-stripes)"' in table
    assert 'id="runbook-runs-stripes"' in table
