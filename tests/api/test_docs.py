"""docs/api.md is true: its examples are run as they stand there, one after the other, on a real server."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from runbooks.api import schemas
from runbooks.api.consumers import LONGEST_WAIT, MOST_NAMES
from runbooks.api.description import document
from runbooks.api.errors import MOST_BYTES, MOST_ERRORS
from runbooks.api.operations import MEANINGS
from runbooks.api.routes import MOST_RUNS
from runbooks.document.values import LARGEST_TOTAL, LARGEST_VALUE, MOST_STRAYS
from runbooks.output.stream import ASK_AGAIN
from tests.browser.server import Server
from tests.processes import ROOT

GUIDE = (ROOT / "docs/api.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8083"  # of the guide's server
HEARTBEATS = re.compile(r'(?<=\n)(: still here\n\n|\{"event": "ping"\}\n)')  # of a slow machine there are more
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE, flags=re.DOTALL | re.MULTILINE)
IS_CODE = {"sh": True, "python": True, "json": False, "text": False}


@dataclass(frozen=True)
class Example:
    """Code, and the answer that the guide shows below it: as text, as values of JSON, or none."""

    language: str
    code: str
    kind: str
    shown: str

    @property
    def script(self) -> str:
        return self.code if self.language == "sh" else f"python3 - <<'END'\n{self.code}END\n"


def examples() -> list[Example]:
    following = [*BLOCKS[1:], ("sh", "")]
    return [
        Example(language, code, *(("", "") if IS_CODE[next_language] else (next_language, text)))
        for (language, code), (next_language, text) in zip(BLOCKS, following, strict=True)
        if IS_CODE[language]
    ]


EXAMPLES = examples()


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each example has printed."""
    server = Server(tmp_path_factory.mktemp("guide"))
    shutil.copytree(ROOT / "samples", server.runbooks)
    script = "\nprintf '\\0'\n".join(example.script for example in EXAMPLES).replace(ADDRESS, server.url)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    try:
        server.start()
        shell = subprocess.run(
            ["bash", "-eu"], input=script.encode(), env=os.environ | {"PATH": path}, capture_output=True, timeout=120
        )
        assert (shell.returncode, shell.stderr.decode()) == (0, "")
        assert server.process.wait(20) == 0  # the last example ends it
    finally:
        server.stop()
    return shell.stdout.decode().split("\0")


@pytest.mark.parametrize("number", range(len(EXAMPLES)), ids=lambda number: EXAMPLES[number].code.splitlines()[0][:60])
def test_an_example_answers_what_is_shown(answers, number):
    example, answer = EXAMPLES[number], HEARTBEATS.sub("", answers[number])
    if example.kind == "json":
        assert fits(values_of(example.shown), values_of(answer)), answer
    else:
        assert fits(example.shown, answer), answer


def values_of(text: str) -> list[object]:
    """The values of JSON that stand one after the other."""
    values, decoder, text = [], json.JSONDecoder(), text.strip()
    while text:
        value, end = decoder.raw_decode(text)
        values.append(value)
        text = text[end:].lstrip()
    return values


def fits(shown: object, answer: object) -> bool:
    """Whether an answer is what is shown, where `…` stands for anything; at the end of a list or object, for more."""
    if shown == "…":
        return True
    if isinstance(shown, str) and isinstance(answer, str):
        return re.fullmatch(".*".join(map(re.escape, shown.split("…"))), answer) is not None
    if isinstance(shown, list) and isinstance(answer, list):
        rest = shown[-1:] == ["…"]
        shown = shown[:-1] if rest else shown
        answer = answer[: len(shown)] if rest else answer
        return len(shown) == len(answer) and all(map(fits, shown, answer))
    if isinstance(shown, dict) and isinstance(answer, dict):
        names = shown.keys() - {"…"}
        is_whole = names <= answer.keys() if "…" in shown else names == answer.keys()
        return is_whole and all(fits(shown[name], answer[name]) for name in names)
    return type(shown) is type(answer) and shown == answer


@pytest.mark.parametrize(
    ("shown", "answer"),
    [
        ("at …", "in 1"),
        ("a…", "a\nb"),
        ([1], [1, 2]),
        ([1, 2, "…"], [1]),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": 1, "…": "…"}, {"b": 2}),
        ({"a": "…1"}, {"a": "2"}),
        (1, True),
        (1, "1"),
    ],
)
def test_what_is_not_shown_does_not_fit(shown, answer):
    assert not fits(shown, answer)


def test_an_answer_is_shown_below_each_example_but_the_first():
    assert [example.kind for example in EXAMPLES].index("") == 0
    assert all(example.kind for example in EXAMPLES[1:])
    assert sum(not IS_CODE[language] for language, _ in BLOCKS) == len(EXAMPLES) - 1


def table(heading: str) -> set[str]:
    """The words in the first column of the first table below a heading."""
    rows = GUIDE.partition(f"\n## {heading}\n")[2].partition("\n|---")[2].partition("\n\n")[0].splitlines()[1:]
    return {
        word for row in rows for word in re.findall(r"`(\w+)`|\b(\d+)\b", row.split("|")[1]) for word in word if word
    }


def test_each_field_of_a_run_is_listed():
    assert table("A run") == set(schemas.RunWithOutput.model_fields)


def test_each_status_of_a_failure_is_listed():
    assert {int(status) for status in table("When it does not work")} == {405, *(s for s in MEANINGS if s >= 400)}


@pytest.mark.parametrize("path", document()["paths"])
def test_each_address_is_spoken_of(path):
    assert re.search(re.sub(r"{\w+}", r"[^\\s`?]+", path) + r"(?![\w/])", GUIDE)


@pytest.mark.parametrize(
    "limit",
    [
        f"| a body | {MOST_BYTES // 1024**2} MiB |",
        f"| a value, all values together | {LARGEST_VALUE // 1024} KiB, {LARGEST_TOTAL // 1024} KiB |",
        f"| `wait` | {LONGEST_WAIT} s |",
        f"| variables that the runbook does not ask for | {MOST_STRAYS} |",
        f"| what a failure tells | the first {MOST_ERRORS} of",
        f"| a page of runs | {MOST_RUNS} |",
        f"Every {ASK_AGAIN:.0f} seconds an open answer asks again",
        f"at most {MOST_NAMES} names",
    ],
)
def test_a_limit_is_the_one_of_the_code(limit):
    assert limit in GUIDE
