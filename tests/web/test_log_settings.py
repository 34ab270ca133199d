"""How a log is shown is known before its first line is there: by the reader's cookie, and by the log's length."""

import re

import pytest

from runbooks.execution import folder
from runbooks.web.log_settings import COOKIE
from tests.output.conftest import line


@pytest.fixture
def shown(alice_client, a_run):
    """The settings of the log's panel, for a reader with this cookie and a log of so many lines."""

    def shown(cookie: str = "", *, lines: int = 1) -> dict[str, str]:
        run = a_run(state="succeeded")
        folder.prepare(run.folder)
        run.log.write_bytes(line("said") * lines)
        alice_client.cookies[COOKIE] = cookie
        panel = re.search(r"<section class=\"log[^>]*>", alice_client.get(f"/runs/{run.pk}/").content.decode())[0]
        return dict(re.findall(r'data-(times|wrap|digits)="([^"]*)"', panel))

    return shown


def test_without_a_choice_the_windows_width_decides(shown):
    assert shown() == {"times": "", "wrap": "true", "digits": "4"}


@pytest.mark.parametrize("times", ["absolute", "relative", "none"])
@pytest.mark.parametrize(("wrap", "is_wrapped"), [("wrap", "true"), ("nowrap", "false")])
def test_what_was_chosen_once_holds_for_all_logs(shown, times, wrap, is_wrapped):
    assert shown(f"{times}.{wrap}") == {"times": times, "wrap": is_wrapped, "digits": "4"}


@pytest.mark.parametrize("cookie", ["sideways.never", "<b>.", ".", "absolute" * 100, "\x7f"])
def test_a_cookie_that_says_nothing_sensible_is_no_choice(shown, cookie):
    assert shown(cookie) == {"times": "", "wrap": "true", "digits": "4"}


def test_a_long_log_has_room_for_its_numbers_at_once(shown):
    assert shown(lines=12_345)["digits"] == "5"
