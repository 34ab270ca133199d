"""Fixtures for all tests: a library of runbooks, people who look at it, and folders that vanish afterwards."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.db import connections
from django.test import Client

from runbooks.access.identify import KEY
from runbooks.execution import folder
from runbooks.models import Run, State
from runbookweb import drain
from tests.execution.supervising import supervisors_in
from tests.processes import ROOT, until
from tests.serving import Site

WAIT = "echo begun; until [ -e {} ]; do sleep 0.05; done; echo gone on"


@dataclass(frozen=True)
class Library:
    """A temporary RUNBOOKS_DIR."""

    root: Path

    def add(self, path: str, source: str | bytes) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(source if isinstance(source, bytes) else source.encode())
        return file


@pytest.fixture(scope="session")
def django_db_modify_db_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A database in a file: one in memory knows no WAL, and fails where threads of a real one would wait."""
    test = connections.settings["default"].setdefault("TEST", {})
    test["NAME"] = str(tmp_path_factory.mktemp("database") / "test.sqlite3")


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database, up to date, for processes that are given a copy of it."""
    data = tmp_path_factory.mktemp("migrated")
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"DATA_DIR": str(data)}, check=True)
    return data / "db.sqlite3"


@pytest.fixture(autouse=True)
def _folders(settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "data"
    settings.EXECUTION_DIR = tmp_path / "work"
    settings.RUNBOOKS_DIR = tmp_path / "runbooks"
    settings.ENABLE_LOGIN = True
    # Without it, each test would warn that there is no collected folder of static files.
    settings.WHITENOISE_AUTOREFRESH = True


@pytest.fixture(autouse=True)
def _drain(monkeypatch) -> None:
    """A drain of its own for each test, which ends no process."""
    monkeypatch.setattr(drain, "process", drain.Drain(end=lambda: None))


@pytest.fixture
def library(settings) -> Library:
    settings.RUNBOOKS_DIR.mkdir()
    return Library(settings.RUNBOOKS_DIR)


@pytest.fixture
def a_runbook() -> Callable[..., str]:
    return runbook_source


def runbook_source(
    *,
    name: str = "restart",
    about: str = "Restarts the replica.",
    requirements: Mapping[str, str] | str = "",
    claims: Mapping[str, Sequence[str]] | None = None,
    settings: Mapping[str, object] | None = None,
    files: str = "",
    script: str = "echo hello",
    language: str = "sh",
    history: str = "",
) -> str:
    """The source of a sound runbook, but for what the test wants otherwise."""
    if not isinstance(requirements, str):
        requirements = "".join(f"{variable}: {text}\n" for variable, text in requirements.items())
    blocks = {"Environment Requirements": requirements, "File System Requirements": files}
    if claims:
        blocks["Required Claims"] = "".join(f"{claim}: {', '.join(values)}\n" for claim, values in claims.items())
    if settings:
        blocks["Settings"] = "".join(f"{key}: {value}\n" for key, value in settings.items())
    sections = "".join(f"# {title}\n\n```yaml\n{text.rstrip()}\n```\n\n" for title, text in blocks.items())
    return f"# {name}\n\n{about}\n\n{sections}# Script\n\n```{language}\n{script}\n```\n\n# History\n\n{history}"


@pytest.fixture
def go(tmp_path: Path) -> Path:
    """The file for which the script of wait.md waits."""
    return tmp_path / "go"


@pytest.fixture
def site(tmp_path: Path, migrated: Path, library: Library, go: Path) -> Iterator[Site]:
    """What a real server serves, with wait.md; the scripts that it leaves behind are waited for after the test."""
    data = tmp_path / "site"
    data.mkdir()
    shutil.copy(migrated, data)
    library.add("wait.md", runbook_source(name="wait", script=WAIT.format(go)))
    yield Site(data, library.root)
    go.touch()
    until(lambda: not supervisors_in(data))


def a_live_run() -> Run:
    """A run of alice's that goes on, whose runbook is gone; nobody looks after it."""
    run = Run.objects.create(runbook="gone.md", actor="alice", timeout=600, state=State.RUNNING, source="# gone")
    folder.prepare(run.folder)
    return run


def client_of(subject: str, *roles: str) -> Client:
    client = Client()
    session = client.session
    session[KEY] = {"id": subject, "claims": {"roles": list(roles)}}
    session.save()
    client.cookies["runbookweb_session"] = session.session_key
    return client


@pytest.fixture
def alice_client(db) -> Client:
    return client_of("alice", "sre")


@pytest.fixture
def bob_client(db) -> Client:
    return client_of("bob")
