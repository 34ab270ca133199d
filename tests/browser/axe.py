"""axe-core in the page: what it finds there that would keep somebody with a disability out."""

import os
from collections.abc import Sequence
from functools import cache

import pytest
from playwright.sync_api import Page

from .server import ROOT

SCRIPT = ROOT / "tests/browser/node_modules/axe-core/axe.min.js"
BAD = ("serious", "critical")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = """([excluded, rules]) =>
    axe.run({exclude: excluded}, {resultTypes: ["violations"], runOnly: {type: "tag", values: rules}})"""


# The numbers are as high as the lines that they stand in: WCAG 2.5.8 excepts what the height of a text decides.
EXCEPTED = {("target-size", "log__number")}


def problems(page: Page, *, excluded: Sequence[str] = ()) -> list[str]:
    """What is serious or critical on the page as it is now, a line for each rule that is broken."""
    page.evaluate(_source())
    found = page.evaluate(RUN, [list(excluded), RULES])["violations"]
    elements = {violation["id"]: _elements(violation) for violation in found if violation["impact"] in BAD}
    return [f"{rule}, {len(broken)} times: {broken[0]}" for rule, broken in elements.items() if broken]


def _elements(violation: dict) -> list[str]:
    """Each element that breaks this rule, and why."""
    return [
        f"{node['html'][:200]} ({_why(node)[:300]})"
        for node in violation["nodes"]
        if not any(violation["id"] == rule and part in node["html"] for rule, part in EXCEPTED)
    ]


def _why(node: dict) -> str:
    return " ".join(check["message"] for kind in ("any", "all", "none") for check in node[kind])


@cache
def _source() -> str:
    if not SCRIPT.exists():
        missing = "axe-core is not installed: bin/test installs it with npm; on Debian, install the package npm"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    return SCRIPT.read_text()
