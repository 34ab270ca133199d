"""Whatever a script prints is text: nothing of it runs, loads or acts, and the file has every byte of it."""

import hashlib
from pathlib import Path

import pytest
from playwright.sync_api import expect

from .pages import execute, line, lines, state

pytestmark = pytest.mark.browser

MARKUP = (
    "<script>window.hacked = true</script>",
    "<img src=/stolen onerror='window.hacked = true'>",
    "</span></div></div><iframe src=/stolen></iframe>",
    "<div hx-get=/stolen hx-trigger=load>steal</div>",
    "<hx-partial hx-target=#run-state hx-swap=outerHTML>lost</hx-partial>",
    "data: <div hx-sse:connect=/stolen hx-trigger=load></div>",
)
TERMINAL = (
    b"nul\0nul\n"
    b"10 %\r50 %\r100 %\n"
    b"\x1b]8;;javascript:window.hacked=true\x1b\\a link\x1b]8;;\x1b\\\n"
    b"\x1b]8;;http://192.0.2.1/stolen\x07another link\x1b]8;;\x07\n"
    b"\x1b[2J\x1b[31mred\x1b[0m\n"
    b"event: done\n"
)
# No element in the log is of another kind than those that a log line consists of.
FOREIGN = (
    "script, img, iframe, form, [onerror], [hx-get], [style]:not(.log__chunk), "
    "a:not([href^='#L'], [href$='/log.txt'], .log__edge)"
)
HOSTILE = TERMINAL + b"".join(text.encode() + b"\n" for text in MARKUP)
SCRIPT = f"""\
import hashlib, os, sys, time
while not os.path.exists(os.environ["GO"]):
    time.sleep(0.02)
output = os.urandom(1 << 20) + b"\\n" + b"x" * 10_000_000 + b"\\n" + {HOSTILE!r}
sys.stdout.buffer.write(output + b"sha256 " + hashlib.sha256(output).hexdigest().encode() + b"\\n")"""


def test_hostile_output_stays_text_and_the_log_has_every_byte(visit, server, add_runbook, tmp_path: Path):
    add_runbook("Hostile", requirements={"GO": "the file that begins it"}, script=SCRIPT, language="python")
    page = visit("alice")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    number = execute(page, "Hostile", GO=tmp_path / "go")
    expect(state(page)).to_have_text("running")
    (tmp_path / "go").touch()
    expect(state(page)).to_have_text("succeeded")
    # What came live, and then what a page that is opened afterwards shows.
    for _ in range(2):
        for text in (*MARKUP, "event: done", "100 %", "a link", "another link", "nul␀nul"):
            expect(line(page, text).last).to_be_attached()
        expect(page.get_by_role("log").locator(FOREIGN)).to_have_count(0)
        expect(lines(page).filter(has_text="red").last.locator(".fg1")).to_have_text("red")
        assert page.evaluate("window.hacked") is None
        page.get_by_text("The whole runbook as it was then").click()
        expect(page.get_by_text("import hashlib").last).to_be_visible(timeout=2000)
        page.reload()
    assert not [url for url in asked if "stolen" in url]

    output, _, digest = server.printed(number).rpartition(b"sha256 ")
    assert hashlib.sha256(output).hexdigest() == digest.decode().strip()
    assert output.endswith(b"x" * 10_000_000 + b"\n" + HOSTILE)
    text = page.request.get(f"/runs/{number}/log.txt")
    assert text.headers["content-type"].startswith("text/plain")
    assert text.headers["x-content-type-options"] == "nosniff"
