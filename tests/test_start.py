"""The start: one command, secrets that nobody else can read, and a refusal of what is unsafe or unclear."""

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runbookweb.env import VARIABLES, BadVariable, Configuration
from tests.browser.server import ROOT, free_port

HTTP_FOR_OTHERS = {"BIND_ADDRESS": "0.0.0.0", "SECRET_KEY": "x" * 40, "ALLOWED_HOSTS": "runbooks.example"}  # noqa: S104


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"DATA_DIR": str(tmp_path / "var"), "RUNBOOKS_DIR": str(tmp_path), "API_PORT": str(free_port())}


def start(environ: dict[str, str]) -> tuple[float, str]:
    """Run bin/run until it says something; how long that took, and what it said."""
    began = time.monotonic()
    with subprocess.Popen([ROOT / "bin/run"], env={**os.environ, **environ}, stdout=subprocess.PIPE) as server:
        said = server.stdout.readline().decode()
        seconds = time.monotonic() - began
        server.terminate()
    return seconds, said


def test_one_command_serves_and_a_second_start_is_quick(environ):
    start(environ)
    seconds, said = start(environ)
    assert said == f"Runbookweb is ready at http://127.0.0.1:{environ['API_PORT']}\n"
    assert seconds < 3


def test_secrets_are_generated_for_the_owner_alone(environ, tmp_path):
    first = Configuration(environ)
    assert len(first.SECRET_KEY) >= 50
    assert Configuration(environ).SECRET_KEY == first.SECRET_KEY
    assert stat.S_IMODE((tmp_path / "var/secret_key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "var").stat().st_mode) == 0o700


def test_two_first_starts_at_once_agree_on_the_secret(environ):
    code = "import os; from runbookweb.env import Configuration as C; print(C(os.environ).SECRET_KEY)"
    starts = [
        subprocess.Popen([sys.executable, "-c", code], env={**os.environ, **environ}, cwd=ROOT, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    assert len({start.communicate()[0] for start in starts}) == 1


def test_every_value_is_told_with_its_source(environ):
    configuration = Configuration({**environ, "UI_HEADER": "Ops"})
    sources = {variable.name: configuration.source(variable) for variable in VARIABLES}
    assert configuration.UI_HEADER == "Ops"
    assert (sources["UI_HEADER"], sources["SCRIPT_TIMEOUT_SECONDS"]) == ("environment", "default")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_PORT", "http"),
        ("API_PORT", "0"),
        ("API_PORT", "70000"),
        ("SCRIPT_TIMEOUT_SECONDS", "-1"),
        ("SCRIPT_TIMEOUT_SECONDS", "1.5"),
        ("MAX_CONCURRENT_RUNS", "0"),
        ("HISTORY_ENTRIES", "many"),
        ("ENABLE_LOGIN", "maybe"),
        ("LOGGING_LEVEL", "LOUD"),
        ("BIND_ADDRESS", "everywhere"),
    ],
)
def test_a_value_that_cannot_be_read_is_named(environ, name, value):
    with pytest.raises(BadVariable, match=f"^{name}: '{value}' "):
        Configuration({**environ, name: value})


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"ENABLE_LOGIN": "true"}, "ENABLE_LOGIN"),
        ({"SECRET_KEY": ""}, "SECRET_KEY"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY"),
        ({"ALLOWED_HOSTS": ""}, "ALLOWED_HOSTS"),
    ],
)
def test_what_is_unsafe_for_others_to_reach_does_not_start(environ, changes, named):
    with pytest.raises(BadVariable, match=f"^{named}: "):
        Configuration({**environ, **HTTP_FOR_OTHERS, **changes})


def test_what_others_may_reach_has_no_development_sign_in(environ):
    assert Configuration({**environ, **HTTP_FOR_OTHERS}).ENABLE_LOGIN is False
    assert Configuration(environ).ENABLE_LOGIN is True


def test_a_refused_start_is_a_sentence_and_no_traceback(environ):
    command = [sys.executable, "manage.py", "serve"]
    environ = {**os.environ, **environ, "API_PORT": "http"}
    said = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (1, "API_PORT: 'http' is not a whole number.\n")


def test_a_data_folder_that_cannot_be_written_is_named(environ, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadVariable, match=r"^DATA_DIR: cannot write "):
        Configuration({**environ, "DATA_DIR": str(tmp_path / "file" / "var")})
