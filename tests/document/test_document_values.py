import time

import pytest

from runbooks.document.values import MOST_STRAYS, InvalidValues, checked_values, is_refused_name, stray_warnings

from .examples import a_runbook, parsed


def asking(environment: str):
    runbook = parsed(a_runbook(environment=environment))
    assert not runbook.errors
    return runbook


def errors_of(environment: str, given: dict[str, str]) -> dict[str, str]:
    with pytest.raises(InvalidValues) as invalid:
        checked_values(asking(environment), given)
    return invalid.value.errors


def test_given_values_come_before_defaults():
    runbook = asking("A: {default: x}\nB: {default: y}\nC: {required: false}")
    assert checked_values(runbook, {"A": "z", "B": ""}) == {"A": "z", "B": "y", "C": ""}


def test_what_the_server_provides_is_not_missing_and_left_out():
    assert checked_values(asking("A:\nB: {default: y}"), {"A": ""}, provided={"A": "x", "B": "z"}) == {}


def test_a_given_value_comes_before_what_the_server_provides():
    assert checked_values(asking("A:"), {"A": "mine"}, provided={"A": "x"}) == {"A": "mine"}


def test_all_that_is_wrong_is_said_at_once():
    errors = errors_of("A:\nB: {type: number}", {"B": "many", "LD_PRELOAD": "c"})
    assert errors["A"] == "a value is needed."
    assert "number" in errors["B"]
    assert "run something else" in errors["LD_PRELOAD"]


def test_what_is_not_asked_for_is_passed_on_with_a_warning():
    runbook = asking("A:")
    given = {"A": "x", "COLOUR": "red", "TZ": ""}
    assert checked_values(runbook, given) == given
    assert [warning.partition(":")[0] for warning in stray_warnings(runbook, given)] == ["COLOUR", "TZ"]


def test_a_great_many_that_are_not_asked_for_are_refused():
    given = {f"V{number}": "x" for number in range(MOST_STRAYS + 2)}
    assert list(errors_of("A: {required: false}", given)) == [f"V{MOST_STRAYS}"]
    assert len(checked_values(asking("A: {required: false}"), dict(list(given.items())[:MOST_STRAYS]))) == 101


@pytest.mark.parametrize("name", ["PGHOST", "PATH", "RUNBOOK_URL", "a b", ""])
def test_what_is_not_asked_for_cannot_take_the_place_of_what_the_server_sets(name):
    with pytest.raises(InvalidValues) as invalid:
        checked_values(asking("A:"), {"A": "x", name: "mine"}, provided={"PGHOST": "db"})
    assert list(invalid.value.errors) == [name]


@pytest.mark.parametrize(
    ("environment", "value"),
    [
        ("A: {choices: [b, c]}", "d"),
        ("A: {pattern: '[a-z]+'}", "a1"),
        ("A: {pattern: '[a-z]+'}", "a\n"),
        ("A: {type: number}", "1e5"),
        ("A: {type: number}", "٣"),
        ("A: {type: boolean}", "maybe"),
        ("A:", "a\0b"),
        ("A:", "\ud800"),
        ("A:", "é" * 16385),
    ],
)
def test_a_value_that_does_not_fit_is_refused(environment, value):
    assert list(errors_of(environment, {"A": value})) == ["A"]


@pytest.mark.parametrize(
    ("environment", "value"),
    [
        ("A: {choices: [b, c]}", "c"),
        ("A: {pattern: '[a-z]+'}", "abc"),
        ("A: {type: number}", "-2.5"),
        ("A:", "x" * 32768),
    ],
)
def test_a_value_that_fits_is_passed_on_unchanged(environment, value):
    assert checked_values(asking(environment), {"A": value}) == {"A": value}


def test_a_pattern_that_takes_too_long_is_a_message_and_not_a_wait():
    started = time.monotonic()
    errors = errors_of("A: {pattern: '(a+)+$'}", {"A": "a" * 5000 + "_"})
    assert "takes too long" in errors["A"]
    assert time.monotonic() - started < 2


def test_the_patterns_of_one_runbook_share_their_time():
    names = [f"A{number}" for number in range(50)]
    started = time.monotonic()
    errors = errors_of(
        "".join(f"{name}: {{pattern: '(a+)+$'}}\n" for name in names), dict.fromkeys(names, "a" * 5000 + "_")
    )
    assert list(errors) == names
    assert time.monotonic() - started < 2


def test_a_pattern_with_nested_repetitions_is_checked_at_once():
    started = time.monotonic()
    errors = errors_of("A: {pattern: '([a-z0-9]+-?)+'}", {"A": "a" * 40 + "_"})
    assert "pattern" in errors["A"]
    assert time.monotonic() - started < 2


def test_all_values_together_have_a_limit():
    environment = "\n".join(f"A{number}:" for number in range(9))
    errors = errors_of(environment, {f"A{number}": "x" * 32768 for number in range(9)})
    assert list(errors) == ["A8"]


def test_a_message_never_repeats_a_secret():
    errors = errors_of("A_KEY: {pattern: '[a-z]+'}", {"A_KEY": "HUNTER2"})
    assert "HUNTER2" not in str(errors)


def test_a_ticked_box_and_a_text_area_arrive_as_scripts_expect_them():
    runbook = asking("A: {type: boolean}\nB: {type: multiline}")
    assert checked_values(runbook, {"A": "on", "B": "x\r\ny"}) == {"A": "true", "B": "x\ny"}


HOSTS = "HOSTS: {type: multichoice, choices: [db 1, db 2, web], default: [db 2, web]}"


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ({}, "db 2\nweb"),
        ({"HOSTS": "web\r\ndb 1"}, "db 1\nweb"),
        ({"HOSTS": "web\nweb\n\n"}, "web"),
    ],
)
def test_what_is_chosen_among_several_comes_one_a_line_in_the_order_of_the_choices(given, value):
    assert checked_values(asking(HOSTS), given) == {"HOSTS": value}


@pytest.mark.parametrize("given", ["web\ndb 3", "db 1,web", "WEB"])
def test_each_of_several_must_be_among_the_choices(given):
    assert errors_of(HOSTS, {"HOSTS": given}) == {"HOSTS": "choose among: db 1, db 2, web."}


def test_of_several_none_is_not_the_default():
    assert errors_of(HOSTS, {"HOSTS": ""}) == {"HOSTS": "choose at least one."}
    optional = HOSTS.replace("}", ", required: false}")
    assert checked_values(asking(optional), {"HOSTS": ""}) == {"HOSTS": ""}


def test_a_pattern_holds_for_each_of_several():
    several = "A: {type: multichoice, choices: [b1, b2, c], pattern: 'b.'}"
    assert checked_values(asking(several), {"A": "b1\nb2"}) == {"A": "b1\nb2"}
    assert "pattern" in errors_of(several, {"A": "b1\nc"})["A"]


def test_a_day_is_one_of_the_calendar():
    assert checked_values(asking("A: {type: date}"), {"A": "2028-02-29"}) == {"A": "2028-02-29"}


@pytest.mark.parametrize("given", ["2027-02-29", "20270228", "2027-W08-7", "27-02-28", "2027-2-8", "٢٠٢٧-02-28", "?"])
def test_what_is_no_day_of_the_calendar_is_refused(given):
    assert "a day of the calendar" in errors_of("A: {type: date}", {"A": given})["A"]


@pytest.mark.parametrize(
    "name",
    [
        *("", "1A", "A-B", "A=B", "A\n", "Ä", "A" * 129, "BASH_FUNC_ls%%"),
        *("PATH", "IFS", "ENV", "PS4", "SHELLOPTS", "LD_PRELOAD", "BASH_ENV", "PYTHONPATH", "PERL5OPT"),
        *("RUBYOPT", "NODE_OPTIONS", "GIT_SSH_COMMAND", "RUNBOOK_URL"),
    ],
)
def test_a_dangerous_name_is_refused(name):
    assert is_refused_name(name)


@pytest.mark.parametrize("name", ["A", "_a1", "HOST", "PATH_TO_FILE", "A" * 128])
def test_an_ordinary_name_is_not_refused(name):
    assert is_refused_name(name) is None
