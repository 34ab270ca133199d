"""The review for staff and the page of usage in a real browser, under the same policy as all pages."""

import os
import subprocess
import sys

import pytest
from playwright.sync_api import Page, expect

from . import axe
from .pages import execute, state
from .server import ROOT

pytestmark = pytest.mark.browser
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def root(server) -> str:
    """A superuser's name."""
    account = {"DJANGO_SUPERUSER_USERNAME": "root", "DJANGO_SUPERUSER_PASSWORD": PASSWORD, "DATA_DIR": str(server.data)}
    command = [sys.executable, "manage.py", "createsuperuser", "--noinput", "--email", "root@runbooks.example"]
    subprocess.run(command, cwd=ROOT, env=os.environ | account, check=True, stdout=subprocess.DEVNULL)
    return "root"


@pytest.fixture
def staff(visit, root) -> Page:
    page = visit()
    page.goto("/admin/")
    page.get_by_label("Username").fill(root)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("link", name="Back to the runbooks")).to_be_visible()
    return page


def test_runs_are_found_read_and_taken_along(visit, staff):
    alice = visit("alice", "sre")
    number = execute(alice, "Hello", NAME="world")
    expect(state(alice)).to_have_text("succeeded")
    staff.goto("/admin/runbooks/run/")
    staff.get_by_role("link", name="alice", exact=True).click()
    staff.get_by_role("link", name=f"#{number}", exact=True).click()
    expect(staff.get_by_text("# Script").first).to_be_visible()
    staff.go_back()
    for form in ("CSV", "JSON"):
        with staff.expect_download() as download:
            staff.get_by_role("link", name=f"Export as {form}").click()
        assert "Hello.md" in download.value.path().read_text()


def test_an_account_and_its_group_are_made_and_decide_what_it_may_do(visit, staff):
    staff.goto("/admin/auth/group/add/")
    staff.get_by_label("Name:").fill("sre")
    staff.get_by_role("button", name="Save", exact=True).click()
    expect(staff.get_by_text("was added successfully")).to_be_visible()
    staff.goto("/admin/auth/user/add/")
    staff.get_by_label("Username:").fill("ann")
    staff.get_by_label("Password:").fill(PASSWORD)
    staff.get_by_label("Password confirmation:").fill(PASSWORD)
    staff.get_by_role("button", name="Save", exact=True).click()
    staff.get_by_role("listbox", name="Available groups").select_option("sre")
    staff.get_by_role("button", name="Choose selected groups").click()
    staff.get_by_role("button", name="Save", exact=True).click()
    expect(staff.get_by_text("was changed successfully")).to_be_visible()

    ann = visit()
    ann.goto("/login/")
    ann.get_by_label("Name").fill("ann")
    ann.get_by_label("Password").fill(PASSWORD)
    ann.get_by_role("button", name="Sign in").first.click()
    expect(ann.get_by_role("heading", name="Runbooks", level=1)).to_be_visible()
    ann.goto("/configuration/")
    expect(ann.get_by_text("an account and its password")).to_be_visible()
    expect(ann.get_by_text("sre", exact=True)).to_be_visible()


def test_a_number_of_the_usage_leads_to_its_runs(visit):
    alice = visit("alice", "sre")
    number = execute(alice, "Failing")
    expect(state(alice)).to_have_text("failed")
    alice.get_by_role("link", name="Usage").click()
    expect(alice.get_by_role("region", name="Runs per day")).to_be_visible()
    assert not axe.problems(alice)
    failing = alice.get_by_role("region", name="What fails").get_by_role("link", name="Failing")
    failing.click()
    expect(alice.locator(f"a[href='/runs/{number}/']").first).to_be_visible()


@pytest.mark.parametrize("address", ["/usage/", "/configuration/", "/doctor/"])
def test_no_page_scrolls_sideways_on_a_phone_or_at_200_percent(visit, address):
    page = visit("a-name-that-is-much-longer-than-anybody-would-want@runbooks.example.com", "sre")
    for width in (390, 320):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
