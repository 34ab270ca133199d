"""Takes the README's picture anew: `.venv/bin/python -m docs.screenshot`, once bin/test has installed all it needs."""

import re
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.conftest import ARGUMENTS, _executable
from tests.browser.pages import sign_in
from tests.browser.server import ROOT, Server

PICTURE = Path(__file__).with_name("live-log.png")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = Server(Path(folder))
        shutil.copytree(ROOT / "samples", server.runbooks)
        server.start()
        try:
            browser = playwright.chromium.launch(executable_path=_executable(), args=list(ARGUMENTS))
            page = browser.new_page(viewport={"width": 1100, "height": 640}, base_url=server.url, device_scale_factor=2)
            take(page)
            browser.close()
        finally:
            server.stop()


def take(page: Page) -> None:
    """The log of a run that is half through."""
    sign_in(page, "alice", "sre")
    page.goto("/runbooks/Colours-and-progress.md/")
    page.get_by_role("button", name="Execute").click()
    expect(page.get_by_role("log")).to_contain_text(re.compile("[4-8]0 %"))
    page.screenshot(path=PICTURE)


if __name__ == "__main__":
    main()
