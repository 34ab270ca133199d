"""Live means live: what a script prints is on the page a moment later."""

from statistics import median

import pytest
from playwright.sync_api import expect

from .pages import execute, line, open_runbook, state

pytestmark = [pytest.mark.browser, pytest.mark.alone]

TICKS = """\
sleep 1
n=0
while [ "$n" -lt 60 ]; do
  n=$((n + 1))
  echo "tick:$(date +%s.%N)"
  sleep 0.05
done"""
# Notes when each line came into the document, by the clock that the script reads too.
NOTE_TICKS = """
window.ticks = new Map();
new MutationObserver(() => {
  const now = Date.now();
  for (const text of document.querySelectorAll(".log__text")) {
    const tick = text.textContent.match(/^tick:([0-9]+[.][0-9]{9})$/);
    if (tick && !window.ticks.has(tick[1])) window.ticks.set(tick[1], now - 1000 * Number(tick[1]));
  }
}).observe(document, { childList: true, subtree: true });
"""

# htmx begins a tick after its script has run: whoever asks for a tick after that comes later.
HTMX_HAS_BEGUN = """() => new Promise((done) => {
  const look = () => setTimeout(window.htmx ? () => setTimeout(done) : look);
  look();
})"""


def test_a_line_is_on_the_page_within_a_quarter_of_a_second(visit, add_runbook, record_property, capsys):
    add_runbook("Ticks", script=TICKS)
    page = visit("alice")
    page.add_init_script(NOTE_TICKS)
    execute(page, "Ticks")
    expect(state(page)).to_have_text("succeeded")
    delays = sorted(page.evaluate("[...window.ticks.values()]"))
    record_property("median_delay_ms", median(delays))
    with capsys.disabled():
        print(f"\nline printed to line on the page: median {median(delays):.0f} ms, slowest {delays[-1]:.0f} ms")
    assert len(delays) == 60
    assert delays[0] > 0
    assert median(delays) < 250


def test_the_log_is_live_though_the_extension_arrives_late(visit, add_runbook):
    add_runbook("Slow-network", script="echo arrived")
    page = visit("alice")
    open_runbook(page, "Slow-network")
    held = []
    page.route("**/hx-sse*", lambda route: held.append(route))
    page.get_by_role("button", name="Execute").click()
    page.wait_for_url("**/runs/*/", wait_until="commit")
    page.evaluate(HTMX_HAS_BEGUN)
    held[0].continue_()
    expect(state(page)).to_have_text("succeeded", timeout=5000)
    expect(line(page, "arrived")).to_be_visible()
