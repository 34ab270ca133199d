"""What a person does and sees on the pages, found by the names that assistive technology has for it."""

import re

from playwright.sync_api import Locator, Page, expect

# Prints a line every 50 ms until the test makes the file that STOP names.
TICKING = """\
n=0
until [ -e "$STOP" ] || [ "$n" -ge 2000 ]; do
  n=$((n + 1))
  echo "line $n"
  sleep 0.05
done"""


def sign_in(page: Page, subject: str, *roles: str) -> None:
    page.goto("/login/")
    page.get_by_label("Subject").fill(subject)
    page.get_by_label("Roles").fill(", ".join(roles))
    page.get_by_role("button", name="Sign in").last.click()  # an account's is the first
    expect(page.get_by_role("heading", name="Runbooks", level=1)).to_be_visible()
    page.wait_for_load_state()


def arrive(page: Page, address: str | re.Pattern[str]) -> None:
    """Wait for the page to which a press has led, and its scripts: what is done before they are there, nobody hears."""
    expect(page).to_have_url(address)
    page.wait_for_load_state()


def open_runbook(page: Page, name: str) -> None:
    page.goto("/runbooks/")
    page.get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
    page.wait_for_load_state()


def execute(page: Page, name: str, **values: object) -> int:
    """Fill in the runbook's form and execute it; the number of the run whose page opens."""
    open_runbook(page, name)
    for variable, value in values.items():
        page.get_by_label(variable, exact=True).fill(str(value))
    page.get_by_role("button", name="Execute").click()
    arrive(page, re.compile(r"/runs/\d+/$"))
    return int(page.url.rstrip("/").rpartition("/")[2])


def cancel(page: Page) -> None:
    """End the run whose page is open, in the two steps that it takes."""
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="End the script").click()


def state(page: Page) -> Locator:
    return page.locator("#run-state").get_by_role("status")


def lines(page: Page) -> Locator:
    """The texts of the lines in the live log."""
    return page.get_by_role("log").locator(".log__text")


def line(page: Page, text: str) -> Locator:
    return page.get_by_role("log").get_by_text(text, exact=True)


def connection(page: Page) -> Locator:
    """The one place that says how it stands with the stream."""
    return page.locator("[data-connection]")


def fact(page: Page, term: str) -> Locator:
    """What the run's page says under this term, such as Exit code."""
    return page.locator("dl > div").filter(has=page.get_by_role("term").get_by_text(term, exact=True)).locator("dd")
