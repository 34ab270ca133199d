"""A flood of output tires neither the browser nor the server, and says what it left out."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .pages import execute, line, lines, state

pytestmark = pytest.mark.browser

SCRIPT = """\
import os, sys, time
while not os.path.exists(os.environ["GO"]):
    time.sleep(0.02)
for number in range(1, 100_001):
    sys.stdout.buffer.write(b"line %06d %s\\n" % (number, b"x" * 87))"""
NOTE_LONG_TASKS = """
window.longest = 0;
new PerformanceObserver((list) => {
  for (const task of list.getEntries()) window.longest = Math.max(window.longest, task.duration);
}).observe({ type: "longtask" });
"""
LAST = f"line 100000 {'x' * 87}"
SLOW = 200  # milliseconds after which a person notices that a page hangs
MEGABYTE = 1_000_000


def test_ten_megabytes_leave_the_page_quick_and_the_server_small(
    visit, server, add_runbook, tmp_path: Path, record_property, capsys
):
    add_runbook("Flood", requirements={"GO": "the file that begins it"}, script=SCRIPT, language="python")
    page = visit("alice")
    page.add_init_script(NOTE_LONG_TASKS)
    execute(page, "Hello", NAME="somebody")  # what the server loads at its first run is no growth
    expect(state(page)).to_have_text("succeeded")
    before = server.peak_memory()
    # Whatever else the machine does stretches tasks too, so one quick flood of three is enough.
    tasks = []
    while len(tasks) < 3 and min(tasks, default=SLOW) >= SLOW:
        tasks.append(longest_task(page, tmp_path / f"go-{len(tasks)}"))
    longest = min(tasks)
    growth = server.peak_memory() - before
    record_property("longest_task_ms", longest)
    record_property("server_growth_mb", growth / MEGABYTE)
    with capsys.disabled():
        print(f"\n10 MB: longest main-thread task {longest:.0f} ms, server grew by {growth / MEGABYTE:.1f} MB")
    assert longest < SLOW
    assert growth < 30 * MEGABYTE

    assert 500 <= lines(page).count() <= 10_000
    expect(page.get_by_role("log").get_by_text(re.compile("[0-9,]+ lines passed over")).last).to_be_attached()
    address = page.get_by_role("log").get_by_role("link", name="see the whole log").last.get_attribute("href")
    assert page.request.get(address).body().count(b"\n") == 100_000

    page.reload()
    expect(lines(page)).to_have_count(2000)
    expect(page.get_by_role("log").get_by_text("98,000 lines passed over")).to_be_attached()
    expect(line(page, LAST)).to_be_in_viewport()


def longest_task(page: Page, go: Path) -> float:
    """Milliseconds of the longest main-thread task while ten megabytes arrive; those below 50 count as 0."""
    execute(page, "Flood", GO=go)
    expect(state(page)).to_have_text("running")
    page.evaluate("window.longest = 0")
    go.touch()
    expect(state(page)).to_have_text("succeeded", timeout=60_000)
    expect(line(page, LAST)).to_be_in_viewport()
    return page.evaluate("window.longest")
