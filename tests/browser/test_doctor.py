"""The doctor in a real browser, with a real nginx in between: it finds what holds lines back and what cuts silence."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.api.nginx import nginx, plain_site

from . import axe

pytestmark = pytest.mark.browser

# What deploy/nginx.conf has beside TLS; and what somebody writes who has read that buffering makes things fast.
GOOD = 'proxy_http_version 1.1; proxy_set_header Host $http_host; proxy_set_header Connection "";'
GOOD_SOCKETS = GOOD.replace('Connection ""', 'Connection "upgrade"') + "proxy_set_header Upgrade $http_upgrade;"
BAD = "proxy_ignore_headers X-Accel-Buffering; proxy_buffering on;"
COMPRESSING = f"{GOOD} gzip on; gzip_types *; gzip_min_length 1;"
# What a browser says itself of connections that a proxy has cut or refused.
CUT = ("ERR_INCOMPLETE_CHUNKED_ENCODING", "WebSocket connection", "504")


@pytest.fixture
def behind(visit, server, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Open the doctor through an nginx with these options; another port of the same host has the same cookies."""
    with ExitStack() as running:

        def behind(options: str, *, silence: int = 60) -> Page:
            page = visit("alice", allowed=(*CUT, "another host"))
            port, site = plain_site(server=server.port, options=options)
            running.enter_context(nginx(tmp_path / f"nginx-{port}", site, port=port))
            page.goto(f"http://127.0.0.1:{port}/doctor/?silence={silence}")
            return page

        yield behind


def verdict(page: Page, title: str, word: str) -> Locator:
    """The finding with this title, once its verdict is this word."""
    finding = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=title))
    expect(finding.get_by_text(word, exact=True)).to_be_visible(timeout=20_000)
    return finding


def test_it_finds_nothing_where_there_is_nothing_in_between(visit):
    page = visit("alice")
    page.goto("/doctor/")
    expect(page.get_by_role("status").first).to_contain_text("Nothing has to be changed")
    verdict(page, "Lines arrive when they are printed", "Good")
    verdict(page, "The server is ready", "Good")
    verdict(page, "Programs can open WebSockets", "Good")
    expect(verdict(page, "Streams are passed on", "Good")).to_contain_text("X-Accel-Buffering came through")


def test_a_proxy_that_heeds_what_streams_say_is_good(behind):
    page = behind(GOOD_SOCKETS, silence=2)
    expect(verdict(page, "Lines arrive when they are printed", "Good")).to_contain_text("15 lines")
    expect(verdict(page, "Streams are passed on", "Good")).to_contain_text("answered by nginx")
    verdict(page, "Programs can open WebSockets", "Good")
    page.get_by_role("button", name="Measure the silence").click()
    expect(verdict(page, "A long silence is not cut", "Good")).to_contain_text("Open for all of 2 s")
    verdict(page, "A quiet run stays connected", "Good")
    expect(page.get_by_role("status").first).to_contain_text("Nothing has to be changed")


def test_a_proxy_that_holds_lines_back_and_cuts_silence_is_found(behind):
    page = behind(BAD, silence=8)
    lines = verdict(page, "Lines arrive when they are printed", "Change this")
    expect(lines).to_contain_text("all in one lump")
    expect(lines.get_by_text("proxy_buffering off;")).to_be_visible()
    page.get_by_role("button", name="Measure the silence").click()
    silence = verdict(page, "A long silence is not cut", "Change this")
    expect(silence).to_contain_text("Cut after 3.")
    expect(silence.get_by_text("proxy_read_timeout 75s;")).to_be_visible()
    verdict(page, "A quiet run stays connected", "Change this")
    expect(verdict(page, "Programs can open WebSockets", "Note")).to_contain_text("Not opened")
    expect(page.get_by_role("status").first).to_contain_text("3 things to change")
    assert not axe.problems(page)


def test_a_proxy_that_compresses_without_holding_back_is_noted(behind):
    page = behind(COMPRESSING)
    verdict(page, "Lines arrive when they are printed", "Good")
    expect(verdict(page, "Streams are passed on", "Note")).to_contain_text("Compressed with gzip")


def test_it_measures_again_on_a_press(visit):
    page = visit("alice")
    page.goto("/doctor/")
    again = page.get_by_role("button", name="Measure again")
    expect(page.get_by_role("status").first).to_be_visible()
    again.press("Enter")
    expect(page.get_by_text("Measuring", exact=True).first).to_be_visible()
    verdict(page, "Lines arrive when they are printed", "Good")
    expect(again).to_be_focused()


def test_one_measurement_waits_for_the_other(visit):
    page = visit("alice")
    page.goto("/doctor/?silence=2")
    again, silence = (page.get_by_role("button", name=name) for name in ("Measure again", "Measure the silence"))
    verdict(page, "Lines arrive when they are printed", "Good")
    expect(silence).to_be_enabled()
    silence.click()
    expect(again).to_be_disabled()
    again.press("Enter")
    verdict(page, "Lines arrive when they are printed", "Good")
    verdict(page, "A long silence is not cut", "Good")
    expect(again).to_be_enabled()


def test_without_javascript_it_says_what_to_do_instead(visit):
    page = visit("alice", javascript=False)
    page.goto("/doctor/")
    expect(page.get_by_text("Nothing can be measured here without JavaScript")).to_be_visible()
    expect(page.get_by_text("curl -iN", exact=False).first).to_be_visible()
    expect(page.get_by_role("button", name="Measure")).to_have_count(0)
