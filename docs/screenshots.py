"""Takes all pictures of the docs anew: `.venv/bin/python -m docs.screenshots`, once bin/test has installed its needs.

It starts a server of its own on copies of samples/, with a month of invented runs and some real ones. Times that would
differ from one taking to the next are written over in the page.
"""

import os
import random
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import django

FOLDER = tempfile.TemporaryDirectory(prefix="screenshots-")
os.environ |= {"DJANGO_SETTINGS_MODULE": "runbookweb.settings", "DATA_DIR": f"{FOLDER.name}/data"}
os.environ |= {"RUNBOOKS_DIR": f"{FOLDER.name}/runbooks"}
django.setup()

from django.core.management import call_command  # noqa: E402
from django.utils import timezone  # noqa: E402
from playwright.sync_api import Browser, Page, expect, sync_playwright  # noqa: E402

from runbooks.execution import folder  # noqa: E402
from runbooks.models import Run, State  # noqa: E402
from tests.browser.conftest import ARGUMENTS, _executable  # noqa: E402
from tests.browser.pages import execute, sign_in, state  # noqa: E402
from tests.browser.server import ROOT, Server  # noqa: E402

IMAGES = Path(__file__).with_name("images")
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
LEAST_BYTES, MOST_BYTES = 5_000, 2_000_000
DAYS = 30
# Each runbook with how often it is run, how many seconds it takes, and how often it fails.
INVENTED = (
    ("Disk-usage-report.md", 5, 14, 0.04),
    ("database/Restart-replica.md", 2, 95, 0.12),
    ("TLS-certificate-expiry.md", 3, 4, 0.2),
    ("Count-log-levels.md", 1, 2, 0.0),
    ("Long-running.md", 1, 41, 0.05),
)
FAVOURITES = ("Disk-usage-report", "Restart-replica")
PEOPLE = ("alice", "bob", "carol", "deploy-pipeline")
# The same words in each picture, whenever it is taken, and whatever a stream brings meanwhile.
STEADY = """() => {
    const write = (text, words) => { if (text.data !== words) text.data = words; };
    const steady = () => {
        for (const time of document.querySelectorAll("time[data-moment]"))
            write(time.firstChild, "2026-11-22 16:24:00 ");
        for (const [row, time] of [...document.querySelectorAll(".log__time")].entries())
            write(time.firstChild, `16:24:0${Math.floor(row / 4) % 10}.${(row * 37) % 900 + 100}`);
    };
    steady();
    new MutationObserver(steady).observe(document.body, {childList: true, characterData: true, subtree: true});
    document.activeElement?.blur();
}"""


@dataclass(frozen=True)
class Picture:
    """A page to be taken, what has to be done there first, and in which forms it is kept."""

    name: str
    open: Callable[[Page], object]
    forms: tuple[str, ...] = ("", "phone")


def main() -> None:
    server = Server(Path(FOLDER.name))
    shutil.copytree(ROOT / "samples", server.runbooks)
    call_command("migrate", verbosity=0)
    invent_runs()
    server.start()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=_executable(), args=list(ARGUMENTS))
            take_all(browser, server)
            browser.close()
    finally:
        server.stop()
        FOLDER.cleanup()
    check_sizes()


def pictures(ran: dict[str, int]) -> Iterator[Picture]:
    """All that are taken, given the numbers of runs that are there."""
    yield Picture("runbooks", lambda page: page.goto("/runbooks/"), forms=("", "phone", "dark"))
    yield Picture("runbook", lambda page: page.goto("/runbooks/Form-with-every-type.md/"))
    yield Picture("live-log", watch, forms=("", "phone", "dark"))
    yield Picture("runs", lambda page: page.goto("/runs/"))
    yield Picture("compare", lambda page: page.goto(f"/runs/compare/?a={ran['first']}&b={ran['second']}"), forms=("",))
    yield Picture("usage", lambda page: page.goto("/usage/"), forms=("", "phone", "dark"))
    yield Picture("doctor", diagnose, forms=("",))


def take_all(browser: Browser, server: Server) -> None:
    IMAGES.mkdir(exist_ok=True)
    page = open_page(browser, server, form="")
    for name in FAVOURITES:
        page.get_by_role("button", name=f"Favourite: {name}").click()
        expect(page.get_by_role("button", name=f"Favourite: {name}", pressed=True).first).to_be_visible()
    ran = {"first": execute(page, "Count-log-levels"), "second": execute(page, "Count-log-levels", LOG="ERROR broken")}
    expect(state(page)).to_have_text(re.compile("succeeded|failed"))
    page.context.close()
    for picture in pictures(ran):
        for form in picture.forms:
            page = open_page(browser, server, form=form)
            picture.open(page)
            take(page, IMAGES / f"{picture.name}{f'-{form}' if form else ''}.png")
            page.context.close()


def open_page(browser: Browser, server: Server, *, form: str) -> Page:
    """A profile of its own for alice, in this form: wide and light if none is named."""
    context = browser.new_context(
        base_url=server.url,
        color_scheme="dark" if form == "dark" else "light",
        reduced_motion="reduce",
        timezone_id="UTC",
        viewport=NARROW if form == "phone" else WIDE,
    )
    page = context.new_page()
    sign_in(page, "alice", "sre")
    return page


def take(page: Page, file: Path) -> None:
    page.wait_for_load_state()
    page.evaluate(STEADY)
    page.screenshot(path=file, animations="disabled", caret="hide")
    print(f"{file.relative_to(ROOT)}: {file.stat().st_size} bytes")


def watch(page: Page) -> None:
    """The log of a run that is half through."""
    page.goto("/runbooks/Colours-and-progress.md/")
    page.get_by_role("button", name="Execute").click()
    expect(page.get_by_role("log")).to_contain_text(re.compile("[4-8]0 %"))


def diagnose(page: Page) -> None:
    """The doctor, who has measured all but what takes longer than somebody looks at a page."""
    page.goto("/doctor/")
    expect(page.get_by_role("button", name="Measure again")).to_be_enabled()


def invent_runs() -> None:
    """A month of runs that might have been, the same each time but for the day that it ends on."""
    dice, now = random.Random(7), timezone.now()  # noqa: S311
    runs = [run for day in range(DAYS, 0, -1) for run in runs_of_a_day(dice, now - timedelta(days=day))]
    for run in Run.objects.bulk_create(sorted(runs, key=lambda run: run.queued_at)):
        folder.prepare(run.folder)


def runs_of_a_day(dice: random.Random, day: datetime) -> Iterator[Run]:
    for path, often, seconds, fails in INVENTED:
        for _ in range(dice.randint(0, 2 * often)):
            began = day.replace(hour=dice.randint(0, 23), minute=dice.randint(0, 59))
            has_failed = dice.random() < fails
            yield Run(
                runbook=path,
                actor=dice.choice(PEOPLE),
                state=State.FAILED if has_failed else State.SUCCEEDED,
                return_code=int(has_failed),
                source=(ROOT / "samples" / path).read_text(),
                timeout=600,
                queued_at=began,
                started_at=began,
                ended_at=began + timedelta(seconds=seconds * dice.uniform(0.7, 1.6)),
            )


def check_sizes() -> None:
    """Nobody should have to load more for the docs than for a page of a newspaper; an empty picture shows nothing."""
    sizes = {file.name: file.stat().st_size for file in IMAGES.glob("*.png")}
    assert min(sizes.values()) > LEAST_BYTES, f"one of these shows nothing: {sizes}"  # noqa: S101
    assert sum(sizes.values()) < MOST_BYTES, f"together these are more than {MOST_BYTES} bytes: {sizes}"  # noqa: S101


if __name__ == "__main__":
    main()
