"""A run belongs to no server process: it survives its death, and the page that was open catches up by itself."""

import re

import pytest
from playwright.sync_api import expect

from .pages import TICKING, connection, execute, line, lines, open_runbook, state

pytestmark = pytest.mark.browser

LINES = [f"line {number}" for number in range(1, 201)]
# htmx says in the console that it tries again; that its reconnected request ends by an abort is its own affair.
RECONNECTING = ("/events/", "/static/favicon", "htmx:sse:error", "signal is aborted without reason")
SCRIPT = """\
n=0
while [ "$n" -lt 200 ]; do
  n=$((n + 1))
  echo "line $n"
  sleep 0.05
done"""


def test_a_server_killed_in_the_middle_loses_neither_the_run_nor_a_line(visit, server, add_runbook):
    file = add_runbook("Survivor", script=SCRIPT)
    page = visit("alice", allowed=RECONNECTING)
    number = execute(page, "Survivor")
    expect(line(page, "line 30")).to_be_attached()
    server.kill()
    expect(connection(page)).to_have_text(re.compile(r"connection lost · next try in \d s"))
    server.start()
    expect(connection(page)).not_to_contain_text("next try")
    expect(state(page)).to_have_text("succeeded")
    assert lines(page).all_text_contents() == LINES
    assert server.printed(number).decode().splitlines() == LINES

    open_runbook(page, "Survivor")
    page.get_by_text("History in the file").click()
    expect(page.get_by_role("heading", name="exit code 0")).to_have_count(1)
    assert file.read_text().count("exit code 0") == 1


def test_who_is_signed_out_is_told_so_and_asks_no_more(visit, server, add_runbook, tmp_path):
    add_runbook("Long", requirements={"STOP": "the file that ends it"}, script=TICKING)
    page = visit("alice", allowed=(*RECONNECTING, "401"))
    number = execute(page, "Long", STOP=tmp_path / "stop")
    expect(line(page, "line 1")).to_be_attached()
    page.evaluate("location.hash = '#L1'")
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/events/" in request.url else None)
    page.context.clear_cookies()
    server.kill()
    server.start()
    back = page.get_by_role("link", name="sign in and come back here")
    expect(back).to_have_attribute("href", f"/login/?next=%2Fruns%2F{number}%2F%23L1")
    refused = len(asked)
    (tmp_path / "stop").touch()
    open_runbook(visit("bob"), "Long")
    assert len(asked) == refused
