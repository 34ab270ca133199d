"""Every page as axe-core sees it, in both themes and both widths: nothing that is serious or critical."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from . import axe
from .pages import TICKING, execute, line, open_runbook, state

pytestmark = pytest.mark.browser

WIDTHS = (1280, 390)
# In the midst of a change of theme, colours are of neither.
SETTLED = """() => Promise.allSettled(
  document.getAnimations().filter((one) => one instanceof CSSTransition).map((one) => one.finished))"""
THEMES = ("light", "dark")
FIELDS = {
    "TEXT": "{description: some text, default: abc, pattern: '[a-z]+'}",
    "TEXTS": "{description: some lines, type: multiline, required: false}",
    "NUMBER": "{description: how many, type: number}",
    "BOOLEAN": "{description: yes or no, type: boolean}",
    "CHOICE": "{description: one of them, choices: [one, two]}",
    "SECRET": "{description: a password, secret: true}",
}


@pytest.fixture
def check() -> Callable[[Page], None]:
    """Looks at a page as it is, in each theme and width; all that is found fails the test at its end."""
    found = []

    def look(page: Page, what: str, **options: object) -> None:
        # Each rule is about colours or about room: a page that is both dark and wide has no third kind of trouble.
        for theme, width in zip(THEMES, WIDTHS, strict=True):
            page.emulate_media(color_scheme=theme)
            page.set_viewport_size({"width": width, "height": 900})
            page.evaluate(SETTLED)
            found.extend(f"{what}, {theme}, {width} px: {one}" for one in axe.problems(page, **options))

    yield look
    assert not found, "\n".join(dict.fromkeys(found))


@pytest.fixture
def stop(tmp_path: Path) -> Iterator[Path]:
    """The file that ends what ticks; made at the end in any case."""
    yield tmp_path / "stop"
    (tmp_path / "stop").touch()


@pytest.mark.parametrize("address", ["/runbooks/", "/runs/", "/usage/", "/configuration/", "/doctor/"])
def test_the_pages_of_the_frame(visit, check, address):
    page = visit("alice", "sre")
    page.goto(address)
    check(page, address)


def test_the_sign_in(visit, check):
    page = visit(allowed=["422"])
    page.goto("/login/")
    check(page, "sign-in")
    page.get_by_role("button", name="Sign in").click()
    check(page, "sign-in with an error")


def test_a_runbook_with_a_field_of_each_type(visit, check, add_runbook):
    add_runbook("All-fields", requirements=FIELDS, script="echo done")
    page = visit("alice", "sre", allowed=["422"])
    open_runbook(page, "All-fields")
    check(page, "runbook")
    page.get_by_label("TEXT", exact=True).fill("NOT THAT")
    page.get_by_label("SECRET", exact=True).fill("to be given again")
    page.get_by_role("button", name="Execute").click()
    expect(page.get_by_role("alert").first).to_contain_text("Nothing was started.")
    check(page, "runbook with errors")


def test_what_nobody_may_run(visit, check, add_runbook):
    add_runbook("Guarded", claims={"roles": ["dba"]})
    add_runbook("Broken", script="")
    page = visit("alice", "sre")
    for name in ("Guarded", "Broken"):
        page.goto(f"/runbooks/{name}.md/")
        check(page, name)
    page.goto("/runbooks/?q=nothing-has-this-name")
    check(page, "list without a hit")


def test_a_run_live_and_ended(visit, check, add_runbook, stop):
    add_runbook("Accessible", requirements={"STOP": "the file that ends it"}, script=TICKING)
    page = visit("alice", "sre")
    number = execute(page, "Accessible", STOP=stop)
    expect(line(page, "line 3")).to_be_visible()
    check(page, "live run")
    stop.touch()
    expect(state(page)).to_have_text("succeeded")
    check(page, "ended run")
    page.goto(f"/runs/{number}/")
    check(page, "ended run, opened anew")


def test_a_run_that_failed_in_colours(visit, check):
    page = visit("alice", "sre")
    page.goto("/runbooks/Failing.md/")
    page.get_by_role("button", name="Execute").click()
    expect(state(page)).to_have_text("failed")
    check(page, "failed run")


def test_a_run_that_waits_and_what_asks_before_it_ends(visit, check, add_runbook, stop):
    requirements = {"STOP": "the file that ends it"}
    add_runbook("One-at-a-time", requirements=requirements, settings={"concurrency": 1}, script=TICKING)
    page = visit("alice", "sre")
    execute(page, "One-at-a-time", STOP=stop)
    execute(page, "One-at-a-time", STOP=stop)
    expect(state(page)).to_have_text("queued")
    check(page, "queued run")
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    check(page, "queued run, about to be cancelled")
    page.goto("/runs/")
    check(page, "runs, some of them active")


def test_what_opens_on_a_runs_page(visit, check):
    page = visit("alice", "sre")
    number = execute(page, "Hello")
    expect(state(page)).to_have_text("succeeded")
    page.get_by_text("Add a note").click()
    page.get_by_role("button", name="View").click()
    expect(page.get_by_label("Go to line")).to_be_visible()
    check(page, "view menu")
    page.goto(f"/runs/{number}/search/?q=hello")
    check(page, "hits in a log")


def test_runs_with_filters_and_side_by_side(visit, check):
    page = visit("alice", "sre")
    first, second = execute(page, "Hello", NAME="one"), execute(page, "Hello", NAME="two")
    expect(state(page)).to_have_text("succeeded")
    for address in (
        "/runs/",
        "/runs/?state=failed&runbook=Hello.md",
        "/runs/?text=hello",
        "/runs/compare/",
        f"/runs/compare/?a={first}&b={second}",
    ):
        page.goto(address)
        check(page, address)


def test_a_run_beside_the_runbook_of_today(visit, check, add_runbook):
    file = add_runbook("Changed", script="echo then")
    page = visit("alice", "sre")
    number = execute(page, "Changed")
    expect(state(page)).to_have_text("succeeded")
    file.write_text(file.read_text().replace("echo then", "\n".join(50 * ["echo now"])))
    page.goto(f"/runs/{number}/difference/")
    check(page, "difference")
    page.get_by_text("47 more lines only today").click()
    check(page, "difference unfolded")


def test_the_review_for_staff(visit, server, check, monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "correct horse battery")
    names = ("--noinput", "--username", "root", "--email", "root@example.org")
    assert server._manage("createsuperuser", *names).wait(60) == 0
    page = visit()
    page.goto("/admin/")
    page.get_by_label("Username").fill("root")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Log in").click()
    execute(page, "Hello")
    expect(state(page)).to_have_text("succeeded")
    for address in ("/admin/", "/admin/runbooks/run/"):
        page.goto(address)
        check(page, address)


@pytest.mark.parametrize("address", ["/nowhere/", "/runbooks/Helo.md/", "/logout/", "/runs/999999/"])
def test_errors(visit, check, address):
    page = visit("alice", allowed=["404", "405"])
    page.goto(address)
    check(page, address)


def test_the_description_of_the_api(visit, check):
    page = visit("alice")
    page.goto("/docs/explorer.html")
    expect(page.get_by_text("/api/runbooks", exact=True).first).to_be_visible()
    # Swagger UI is not ours; openapi.yaml, which the page links to, says the same as text.
    check(page, "explorer", excluded=["#explorer"])
