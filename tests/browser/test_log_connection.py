"""No news and no connection never look the same, and a tab that nobody looks at misses nothing."""

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.processes import until

from .pages import TICKING, connection, execute, line, lines, state
from .server import PREFIX

pytestmark = pytest.mark.browser

STOP = {"STOP": "the file that ends it"}
SILENT = 'echo begun; until [ -e "$STOP" ]; do sleep 0.05; done'
# The extension and the page learn of it as in a real tab: by the event, and what the document says then.
HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  Object.defineProperty(document, "visibilityState", { value: hidden ? "hidden" : "visible", configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
NOTIFICATIONS = """
window.shown = [];
window.Notification = class extends EventTarget {
  static permission = "default";
  static async requestPermission() { return (Notification.permission = "granted"); }
  constructor(title) { super(); window.shown.push(title); }
};
"""


@pytest.fixture
def stop(tmp_path: Path) -> Path:
    return tmp_path / "stop"


@pytest.fixture
def stall(server) -> Iterator[Callable[[bool], None]]:
    """Has the server answer nothing while its connections stay, as on a machine that hangs."""

    def stall(is_stalled: bool) -> None:
        server.process.send_signal(signal.SIGSTOP if is_stalled else signal.SIGCONT)

    yield stall
    stall(False)


def go(page: Page, seconds: int) -> None:
    """Let so much time pass for the page, as far as its clock tells."""
    page.clock.run_for(1000 * seconds)


def test_a_silent_script_is_told_from_a_lost_connection(visit, server, add_runbook, stop):
    add_runbook("Silent", requirements=STOP, script=SILENT)
    page = visit("alice", allowed=["/events/", "htmx:sse:error", "/static/favicon"])
    execute(page, "Silent", STOP=stop)
    expect(line(page, "begun")).to_be_visible()
    expect(connection(page)).to_have_text(re.compile("live"))
    expect(connection(page)).to_have_text(re.compile(r"live · no output for 1\d s"))
    expect(connection(page).get_by_role("status")).to_have_text("live")
    assert connection(page).get_attribute("data-is-quiet") == "true"
    page.reload()  # the server knows since when it is so
    expect(connection(page)).to_have_text(re.compile(r"live · no output for [1-9]\d s"), timeout=5000)
    stop.touch()
    expect(connection(page)).to_have_text(re.compile("ended: succeeded"))


def test_a_stream_that_says_nothing_at_all_counts_as_lost_and_is_opened_anew(visit, add_runbook, stop):
    add_runbook("Half-open", requirements=STOP, script=SILENT)
    page = visit("alice", allowed=["/events/", "htmx:sse:error"])
    page.clock.install()
    execute(page, "Half-open", STOP=stop)
    expect(line(page, "begun")).to_be_visible()
    expect(connection(page)).to_have_text(re.compile("live"))
    opened = []
    page.on("request", lambda request: opened.append(request) if "/events/" in request.url else None)
    page.clock.fast_forward(30_000)
    go(page, 2)
    expect(connection(page)).to_have_text(
        re.compile(r"live · no output for [3-9]\d s")
    )  # another connection is no output
    stop.touch()
    page.clock.resume()
    expect(state(page)).to_have_text("succeeded")
    assert len(opened) == 1
    # By the header, or by the address if the line had been on the page before the stream began.
    resumed = opened[0].headers.get("last-event-id") or opened[0].url.rpartition("after=")[2]
    assert int(resumed) == PREFIX + len("begun\n")
    expect(lines(page)).to_have_text(["begun"])


def test_no_word_from_the_server_is_told_from_no_output_and_then_from_a_connection(visit, add_runbook, stop, stall):
    add_runbook("Stalled", requirements=STOP, script=SILENT)
    page = visit("alice", allowed=["/events/", "/static/favicon", "htmx:sse:error"])
    page.clock.install()
    execute(page, "Stalled", STOP=stop)
    expect(line(page, "begun")).to_be_visible()
    expect(connection(page)).to_have_text(re.compile("live"))
    stall(True)
    go(page, 9)
    expect(connection(page)).to_have_text(re.compile(r"live · nothing heard for (9|1\d) s"))
    expect(connection(page).get_by_role("status")).to_have_text("live")
    go(page, 12)
    expect(connection(page)).to_have_text(re.compile("connection lost"))
    go(page, 8)
    expect(connection(page)).to_have_text(re.compile(r"connection lost · trying now, for \d+ s"))
    expect(connection(page).get_by_role("status")).to_have_text("connection lost")
    stall(False)
    expect(connection(page)).to_have_text(re.compile(r"live · no output for \d\d s"))
    stop.touch()
    expect(connection(page)).to_have_text(re.compile("ended: succeeded"))


def test_the_tab_warns_while_nobody_knows_how_it_goes_on(visit, add_runbook, stop, stall):
    add_runbook("Unknown", requirements=STOP, script=SILENT)
    page = visit("alice", allowed=["/events/", "/static/favicon", "htmx:sse:error"])
    page.clock.install()
    number = execute(page, "Unknown", STOP=stop)
    icon = page.locator("link[rel=icon]")
    expect(page).to_have_title(re.compile(f"^▶ .*#{number}"))
    expect(connection(page)).to_have_text(re.compile("live"))
    stall(True)
    go(page, 27)
    expect(connection(page)).to_have_text(re.compile("connection lost"))
    expect(page).to_have_title(re.compile(f"^⚠ .*#{number}"))
    expect(icon).to_have_attribute("href", re.compile("favicon-ended"))
    stall(False)
    go(page, 8)
    expect(page).to_have_title(re.compile(f"^▶ .*#{number}"))
    expect(icon).to_have_attribute("href", re.compile("favicon-running"))
    stop.touch()
    expect(page).to_have_title(re.compile(f"^✓ .*#{number}"))


def test_a_tab_in_the_background_comes_back_with_nothing_missing(visit, server, add_runbook, stop):
    add_runbook("Background", requirements=STOP, script=TICKING)
    page = visit("alice")
    number = execute(page, "Background", STOP=stop)
    expect(line(page, "line 5")).to_be_attached()
    page.evaluate(HIDE, True)
    seen = lines(page).count()
    other = visit("bob")
    other.goto(page.url)
    expect(lines(other).nth(seen + 40)).to_be_attached()
    assert lines(page).count() <= seen + 2
    page.evaluate(HIDE, False)
    expect(lines(page).nth(seen + 60)).to_be_attached()
    stop.touch()
    expect(state(page)).to_have_text("succeeded")
    assert lines(page).all_text_contents() == server.printed(number).decode().splitlines()


def test_a_line_that_was_unfinished_when_nobody_looked_is_put_right(visit, add_runbook, stop):
    going = 'until [ -e "$STOP" ]; do sleep 0.05; done'
    script = f"seq -f 'line %g' 1 100; printf 'Copying… 4'; {going}; echo 2; seq -f 'line %g' 102 3102"
    add_runbook("Copying", requirements=STOP, script=script)
    page = visit("alice")
    execute(page, "Copying", STOP=stop)
    expect(line(page, "Copying… 4")).to_be_visible()
    page.get_by_role("log").press("Home")  # who follows the end would see none of these lines again
    expect(line(page, "line 1")).to_be_in_viewport()
    page.evaluate(HIDE, True)
    stop.touch()
    other = visit("bob")
    other.goto(page.url)
    expect(state(other)).to_have_text("succeeded")
    page.evaluate(HIDE, False)
    expect(lines(page).nth(100)).to_have_text("Copying… 42")


def test_the_tab_shows_the_state_also_while_nobody_looks(visit, add_runbook, stop):
    add_runbook("Tab", requirements=STOP, script=f"{SILENT}; exit 3")
    page = visit("alice")
    page.clock.install()
    number = execute(page, "Tab", STOP=stop)
    expect(state(page)).to_have_text("running")
    expect(page).to_have_title(re.compile(f"^▶ .*#{number}"))
    icon = page.locator("link[rel=icon]")
    expect(icon).to_have_attribute("href", re.compile("favicon-running"))
    page.evaluate(HIDE, True)
    stop.touch()
    other = visit("bob")
    other.goto(page.url)
    expect(state(other)).to_have_text("failed")
    go(page, 12)
    expect(page).to_have_title(re.compile(f"^✗ .*#{number}"))
    expect(icon).to_have_attribute("href", re.compile("favicon-failed"))
    go(page, 3)  # what the page itself says of the run is still older
    expect(page).to_have_title(re.compile(f"^✗ .*#{number}"))
    expect(icon).to_have_attribute("href", re.compile("favicon-failed"))


def test_the_end_of_a_long_run_is_notified_to_who_asked_for_it(visit, add_runbook, stop):
    add_runbook("Notified", requirements=STOP, script=SILENT)
    page = visit("alice")
    page.add_init_script(NOTIFICATIONS)
    page.clock.install()
    execute(page, "Notified", STOP=stop)
    bell = page.get_by_role("button", name="Notify me")
    expect(bell).to_have_attribute("aria-pressed", "false")
    bell.click()
    expect(bell).to_have_attribute("aria-pressed", "true")
    expect(state(page)).to_have_text("running")
    page.clock.fast_forward(40_000)
    page.evaluate(HIDE, True)
    stop.touch()
    other = visit("bob")
    other.goto(page.url)
    expect(state(other)).to_have_text("succeeded")
    go(page, 12)
    (words,) = until(lambda: page.evaluate("window.shown"))
    assert words.startswith("succeeded: ")
    go(page, 25)
    assert page.evaluate("window.shown") == [words]


def test_a_screen_reader_hears_of_new_lines_now_and_then(visit, add_runbook, stop):
    # Not before the page is open: what it opens with is no news.
    script = f"""until [ -e "$STOP.go" ]; do sleep 0.05; done
seq -f 'line %g' 1 50; echo trouble >&2; sleep 0.2; echo last; {SILENT.partition(";")[2]}"""
    add_runbook("Heard", requirements=STOP, script=script)
    page = visit("alice")
    page.clock.install()
    execute(page, "Heard", STOP=stop)
    expect(connection(page)).to_have_text(re.compile("live"))
    Path(f"{stop}.go").touch()
    expect(line(page, "last")).to_be_visible()
    news = page.locator("[data-log-news]")
    expect(news).to_have_text("")
    go(page, 11)
    expect(news).to_have_text(re.compile(r"^\d+ new lines?[.] (1 on stderr, the last: trouble[.] )?Last line: last$"))
    expect(page.get_by_role("log")).to_have_attribute("aria-live", "off")
    stop.touch()
