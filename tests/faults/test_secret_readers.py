"""Nobody who reads what the server says, keeps or starts finds a secret of a run there."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import InvalidToken

from runbooks.execution.sealing import seal, unseal
from tests.processes import until
from tests.serving import Site, signed_in

from .finding import exposed
from .scene import Scene, play, prepare, worst_runbook

# By what each shows that it has been heard at all: the runs' output, or something else.
READERS = {
    **dict.fromkeys(("page of a live run", "events of a live run", "fragments of a live run"), b"***"),
    **dict.fromkeys(("page", "fragments", "download", "events", "lines", "socket", "log"), b"***"),
    **dict.fromkeys(("API's run", "API's log", "answer to a program that waits", "row", "admin's page"), b"***"),
    **dict.fromkeys(("runbook", "API's runbook"), b"***"),  # by their History
    **dict.fromkeys(("list of runs", "admin's list", "API's runs"), b"worst"),
    **dict.fromkeys(("configuration", "API's configuration"), b"SCRIPT_ENV"),
    "command lines": b"supervisor",
    "environments": b"DATA_DIR=" if os.geteuid() == 0 else b"(not readable)",
    "metrics": b"runbook",
    "answer to a key that is used again": b"key",
    **dict.fromkeys(("form that is shown again", "API's refusal", "API's validation"), b"does not fit the pattern"),
    **dict.fromkeys(("broken JSON", "other JSON", "API that is not there"), b'"error"'),
    **dict.fromkeys(("forged form", "page that is not there", "stranger's start", "stranger's run"), b"<html"),
}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Iterator[Scene]:
    """One server for all: what it says and keeps is looked through afterwards, reader by reader."""
    folder = tmp_path_factory.mktemp("scene")
    scene = Scene(Site(folder / "data", folder / "runbooks"), None, folder)
    prepare(scene, migrated)
    provided = {"SCRIPT_ENV": "PROVIDED_*", "PROVIDED_TOKEN": scene.provided}
    with scene.site.serving(LOGGING_LEVEL="DEBUG", **provided) as scene.server:
        play(scene)
        yield scene
        scene.go.touch()


@pytest.mark.parametrize("reader", READERS)
def test_no_reader_finds_a_secret(scene, reader):
    assert READERS[reader] in scene.heard[reader]
    assert not exposed(scene.heard[reader], *scene.secrets)


def test_every_reader_is_looked_over(scene):
    assert READERS.keys() == scene.heard.keys()
    assert len(scene.secrets) == 3 + 3 + 4  # three lines of the key, four scripts' tokens


def test_no_file_of_the_servers_has_a_secret(scene):
    """Database, -wal and -shm, logs, results, the server's own log at DEBUG, and what a crash might leave."""
    names = {file.name for file, _ in scene.files()}
    assert {"db.sqlite3", "db.sqlite3-wal", "log", "result", "out.stderr", "worst.md"} <= names
    assert not {file for file, data in scene.files() if exposed(data, *scene.secrets, depth=1)}


def test_no_file_has_a_secret_when_the_server_has_ended(scene):
    scene.server.stop()
    assert not {file for file, data in scene.files() if exposed(data, *scene.secrets, depth=1)}


SEALED = "state, sealed_values"


@pytest.fixture
def waiting(site: Site, go: Path, library) -> Iterator[Scene]:
    """A run with secrets that waits for another one to end."""
    library.add("worst.md", worst_runbook())
    scene = Scene(site, None, go.parent / "scene")
    scene.folder.mkdir()
    with site.serving(MAX_CONCURRENT_RUNS="1", SCRIPT_ENV="PROVIDED_*", PROVIDED_TOKEN=scene.provided) as scene.server:
        program = signed_in(scene.server, "sre")
        assert program.execute("wait.md")[0] == 202
        body = {"env_vars": scene.values("2")}
        assert program("POST", "/api/runbooks/worst.md/execute", body, Prefer="respond-async")[0] == 202
        yield scene
        scene.go.touch()


def test_the_secrets_of_a_run_that_waits_are_sealed(waiting):
    """The raw files have what only SECRET_KEY opens."""
    state, sealed = waiting.row(2, SEALED)
    assert (state, sealed[:5]) == ("queued", b"gAAAA")
    assert any(sealed[:100] in data for _, data in waiting.files())
    assert not {file for file, data in waiting.files() if exposed(data, *waiting.secrets, depth=1)}


def test_sealed_secrets_are_gone_once_the_run_has_started(waiting, go):
    sealed = waiting.row(2, SEALED)[1]
    go.touch()
    until(lambda: waiting.row(2, SEALED) == ("running", None))
    until(lambda: not {file for file, data in waiting.files() if sealed[:100] in data})


def test_sealed_secrets_open_with_the_servers_key_alone(settings):
    sealed = seal({"PASSWORD": "opensesame"})
    assert unseal(sealed) == {"PASSWORD": "opensesame"}
    settings.SECRET_KEY = settings.SECRET_KEY[::-1]
    with pytest.raises(InvalidToken):
        unseal(sealed)
