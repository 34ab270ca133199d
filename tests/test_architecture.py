"""The arrows of the design: who may import whom, and what stays free of everything else."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runbookweb.env import VARIABLES

ROOT = Path(__file__).parents[1]
# Each part, and what it may import of the others; who is not named here may import everything.
ARROWS = {
    "runbooks.document": set(),
    "runbooks.models": set(),
    "runbooks.threads": set(),
    "runbooks.access": {"document", "models"},
    "runbooks.library": {"access", "document", "models"},
    "runbooks.output": {"access", "document", "models", "threads"},
    "runbooks.execution": {"access", "document", "library", "models", "output", "threads"},
    "runbooks.admin": {"models", "templatetags", "threads"},
    "runbooks.api": {"access", "document", "execution", "library", "models", "output", "threads"},
    "runbooks.web": {
        *("access", "document", "execution", "library", "models", "output", "templatetags", "threads", "typical"),
    },
}


def files_of(part: str) -> list[Path]:
    path = ROOT / part.replace(".", "/")
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("part", ARROWS)
def test_imports_point_one_way(part):
    allowed = ARROWS[part] | {part.split(".")[1]}
    for file in files_of(part):
        ours = {name for name in imports(file) if name.startswith("runbooks.")}
        assert {name.split(".")[1] for name in ours} <= allowed, file


def test_runbooks_are_read_without_django():
    for file in files_of("runbooks.document"):
        assert not [name for name in imports(file) if name.startswith(("django", "channels"))], file


def test_the_supervisor_needs_the_standard_library_alone():
    names = {name for file in files_of("runbooks.execution.supervisor") for name in imports(file)}
    others = {name.split(".")[0] for name in names if not name.startswith("runbooks.execution.supervisor.")}
    assert {"fcntl", "signal"} <= others <= sys.stdlib_module_names


def test_pages_go_through_the_one_door():
    for file in [*files_of("runbooks.web"), *files_of("runbooks.api")]:
        used = {name for name in imports(file) if name.startswith("runbooks.execution")}
        assert used <= {"runbooks.execution.control", "runbooks.execution.environment"}, file


def test_every_variable_is_documented():
    documented = (ROOT / "docs/operating.md").read_text()
    assert [variable.name for variable in VARIABLES if f"`{variable.name}`" not in documented] == []
