"""How a run's runbook differs from the file of today."""

import time

import pytest

from runbooks.web.difference import AROUND, MOST_LINES, folded, parts

LINES = [f"line {number}" for number in range(1, 31)]


def told(then: list[str], now: list[str]) -> list[list[str]]:
    return [[f"{line.sign}{line.text}" for line in part] for part in parts(then, now)]


@pytest.fixture
def run(library, a_runbook, a_run):
    library.add("restart.md", a_runbook(script="echo 1\necho 2"))
    return a_run(source=a_runbook(script="echo 1\necho 2").partition("# History")[0])


def today(client, run) -> str:
    return client.get(run.get_absolute_url()).content.decode()


def test_the_same_file_is_said_to_be_the_same(alice_client, run):
    assert "The runbook's file says the same today." in today(alice_client, run)
    page = alice_client.get(f"/runs/{run.pk}/difference/").content.decode()
    assert "The runbook's file says the same today as when this ran." in page


def test_history_is_no_difference(alice_client, run, library, a_runbook):
    library.add("restart.md", a_runbook(script="echo 1\necho 2", history="## 2026-11-22\n\nRun 1 by `alice`\n"))
    assert "says the same today" in today(alice_client, run)


def test_a_change_is_told_and_shown_line_by_line(alice_client, run, library, a_runbook):
    library.add("restart.md", a_runbook(script="echo 1\necho <two>"))
    assert f'has changed since. <a href="/runs/{run.pk}/difference/">' in today(alice_client, run)
    page = alice_client.get(f"/runs/{run.pk}/difference/").content.decode()
    assert '<span class="visually-hidden">only then</span></td><td class="difference__text">echo 2</td>' in page
    assert (
        '<span class="visually-hidden">only today</span></td><td class="difference__text">echo &lt;two&gt;</td>' in page
    )
    assert page.count("difference__line--kept") == 6


def test_a_file_that_is_gone_cannot_be_compared(alice_client, run, library):
    (library.root / "restart.md").unlink()
    assert "<code>restart.md</code> is gone." in today(alice_client, run)
    page = alice_client.get(f"/runs/{run.pk}/difference/").content.decode()
    assert "The file <code>restart.md</code> is not there any more." in page
    assert "/runbooks/restart.md/" not in page


def test_of_a_refused_run_there_is_nothing_to_compare(alice_client, run, a_run):
    refused = a_run(source="", state="refused")
    assert "says the same" not in today(alice_client, refused)
    page = alice_client.get(f"/runs/{refused.pk}/difference/").content.decode()
    assert "nothing ran that could be compared" in page


def test_what_one_may_not_see_cannot_be_compared(bob_client, run, library, a_runbook):
    library.add("restart.md", a_runbook(claims={"roles": ["sre"]}))
    assert bob_client.get(f"/runs/{run.pk}/difference/").status_code == 404
    assert bob_client.post(f"/runs/{run.pk}/difference/").status_code == 405


def test_a_change_comes_with_three_lines_around_it():
    now = [*LINES[:9], "new", *LINES[10:]]
    assert told(LINES, now) == [[*LINES[6:9], "\N{MINUS SIGN}line 10", "+new", *LINES[10:13]]]


def test_changes_far_apart_are_parts_of_their_own_and_near_ones_are_not():
    far = told(LINES, [*LINES[:4], *LINES[5:24], *LINES[25:]])
    near = told(LINES, [*LINES[:4], *LINES[5:9], *LINES[10:]])
    assert [len(part) for part in far] == [7, 7]
    assert [len(part) for part in near] == [12]
    assert near[0].count("line 7") == 1


@pytest.mark.parametrize(("then", "now"), [([], LINES), (LINES, []), (LINES, LINES[1:]), (LINES, LINES[:-1])])
def test_numbers_count_in_each_of_the_two(then, now):
    found = [line for part in parts(then, now) for line in part]
    assert all(then[line.then - 1] == line.text for line in found if line.then and then)
    assert all(now[line.now - 1] == line.text for line in found if line.now and now)
    assert [line.then for line in found if line.then] == sorted(line.then for line in found if line.then)
    assert found


def test_what_would_take_long_to_compare_is_not():
    assert parts(["a"] * MOST_LINES, ["b"] * MOST_LINES) is None
    began = time.process_time()
    assert parts(list("ab" * 700), list("bac" * 500))
    assert time.process_time() - began < 5


def test_a_page_of_too_many_changes_says_so(alice_client, run, library, a_runbook):
    library.add("restart.md", a_runbook(script="\n".join(f"echo {number}" for number in range(MOST_LINES + 1))))
    page = alice_client.get(f"/runs/{run.pk}/difference/").content.decode()
    assert "Too much has changed to be compared line by line." in page


def test_a_long_stretch_of_one_kind_is_folded_but_for_its_first_lines():
    then, now = ["same", *LINES, *LINES], ["same", *(f"other {number}" for number in range(5))]
    [part] = folded(parts(then, now))
    assert [(len(stretch.lines), stretch.is_folded) for stretch in part] == [
        (1 + AROUND, False),
        (57, True),
        (5, False),
    ]
    assert [line for stretch in part for line in stretch.lines] == parts(then, now)[0]


def test_a_stretch_that_is_not_long_is_not_folded():
    [part] = folded(parts(["same"], ["same", *LINES, *LINES[:10]]))
    assert [(len(stretch.lines), stretch.is_folded) for stretch in part] == [(41, False)]
    assert folded(None) is None


def test_a_runbook_that_has_grown_by_much_is_shown_folded(alice_client, run, library, a_runbook):
    library.add("restart.md", a_runbook(script="\n".join(["echo 1", *(f"echo {n}" for n in range(7, 100)), "echo 2"])))
    page = alice_client.get(f"/runs/{run.pk}/difference/").text
    assert "90 more lines only today</summary>" in page
    assert page.count("<details") == 1
