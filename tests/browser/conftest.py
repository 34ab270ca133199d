"""Fixtures for journeys in a real browser, against a real server: each is a process of its own."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from .pages import sign_in
from .server import ROOT, Server

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WINDOW = {"width": 1280, "height": 1000}
PATIENCE = 15_000  # milliseconds: what takes longer than this is broken, however busy the machine

expect.set_options(timeout=PATIENCE)


# Its loop must be gone before the next package's tests, which have loops of their own and use the ORM.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_executable(), args=list(ARGUMENTS))
        yield browser
        browser.close()


def _executable() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        missing = f"no browser on PATH (looked for {', '.join(BROWSERS)}): on Debian, install the package chromium"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    return found


@pytest.fixture(scope="module")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of this module's own; without a browser none is started."""
    server = Server(tmp_path_factory.mktemp("server"))
    shutil.copytree(ROOT / "samples", server.runbooks)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def add_runbook(server: Server, a_runbook: Callable[..., str]) -> Callable[..., Path]:
    """Writes a runbook into the server's library."""

    def add(name: str, **contents: object) -> Path:
        file = server.runbooks / f"{name}.md"
        file.write_text(a_runbook(name=name, **contents))
        return file

    return add


class Watch:
    """Notes what no page may ever do: complain in the console, break the CSP, throw, or ask another host."""

    def __init__(self, context: BrowserContext, *, host: str, allowed: Sequence[str]):
        self.host, self.allowed, self.problems = host, allowed, []
        context.on("console", self._console)
        context.on("weberror", lambda error: self._note(f"exception: {error.error}"))
        context.on("request", self._request)

    def _note(self, problem: str) -> None:
        if not any(text in problem for text in self.allowed):
            self.problems.append(problem)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._note(f"console: {message.text} ({message.location['url']})")

    def _request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme != "data" and address.netloc != self.host:
            self._note(f"request to another host: {request.url}")


@pytest.fixture
def visit(browser: Browser, server: Server) -> Iterator[Callable[..., Page]]:
    """Opens a browser profile of its own for a person; the test fails if a page of theirs misbehaved.

    What the journey leads to on purpose, such as a lost connection, is allowed by a part of its text.
    """
    watches = []
    with contextlib.ExitStack() as stack:

        def open_page(subject: str = "", *roles: str, javascript: bool = True, allowed: Sequence[str] = ()) -> Page:
            context = browser.new_context(base_url=server.url, java_script_enabled=javascript, viewport=WINDOW)
            stack.callback(context.close)
            context.set_default_timeout(PATIENCE)
            watches.append(Watch(context, host=urlsplit(server.url).netloc, allowed=allowed))
            page = context.new_page()
            if subject:
                sign_in(page, subject, *roles)
            return page

        yield open_page
    problems = [problem for watch in watches for problem in watch.problems]
    assert not problems, "\n".join(problems)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the server's log with each failure."""
    report = (yield).get_result()
    server = getattr(item, "funcargs", {}).get("server")
    if report.failed and server and server.log.exists():
        report.sections.append(("The server's log", server.log.read_text(errors="replace")[-20_000:]))
