"""The start: one command, secrets that nobody else can read, and a refusal of what is unsafe or unclear."""

import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection

from runbookweb.env import VARIABLES, BadVariable, Configuration
from tests.processes import ROOT, free_port

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


@pytest.mark.alone
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
        ("API_PORT", "8" * 5000),
        ("RUNBOOKS_DIR", "~nobody-of-this-name/runbooks"),
        ("DATA_DIR", "~nobody-of-this-name/var"),
        ("DATA_DIR", "x" * 300),
        ("UI_HEADER", "\udcff"),
        ("ENABLE_LOGIN", "maybe"),
        ("LOGGING_LEVEL", "LOUD"),
        ("BIND_ADDRESS", "everywhere"),
        ("JWT_ALGORITHM", "none"),
        ("JWT_ALGORITHM", "HS512"),
        ("JWT_TTL_MINUTES", "0"),
        ("JWT_JWKS_URL", "http://idp.example/keys"),
        ("JWT_JWKS_URL", "http://localhost.example/keys"),
        ("JWT_JWKS_URL", "file:///etc/passwd"),
        ("JWT_JWKS_URL", "https:///keys"),
        ("JWT_JWKS_URL", "https://[idp"),
        ("JWT_JWKS_URL", "https://idp.example:port/keys"),
        ("JWT_JWKS_URL", "idp.example/keys"),
    ],
)
def test_a_value_that_cannot_be_read_is_named(environ, name, value):
    with pytest.raises(BadVariable, match=f"^{name}: {re.escape(repr(value))} "):
        Configuration({**environ, name: value})


@pytest.mark.parametrize(
    ("secret", "problem"),
    [
        ("short", "has fewer than 32 characters"),
        ("-----BEGIN PUBLIC KEY-----" + "A" * 400, "is a public or private key"),
    ],
)
def test_a_secret_that_cannot_sign_is_not_shown(environ, secret, problem):
    with pytest.raises(BadVariable, match=f"^JWT_SECRET: its value {problem}") as refused:
        Configuration({**environ, "JWT_SECRET": secret})
    assert secret not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"JWT_SECRET": "x" * 40, "JWT_JWKS_URL": "https://idp.example/keys"}, "JWT_SECRET"),
        ({"JWT_ALGORITHM": "HS256", "JWT_JWKS_URL": "https://idp.example/keys"}, "JWT_ALGORITHM"),
        ({"JWT_ALGORITHM": "RS256"}, "JWT_JWKS_URL"),
        ({"JWT_ALGORITHM": "RS256", "JWT_SECRET": "x" * 40}, "JWT_JWKS_URL"),
    ],
)
def test_tokens_are_signed_in_one_way(environ, changes, named):
    with pytest.raises(BadVariable, match=f"^{named}: "):
        Configuration({**environ, **changes})


def test_published_keys_mean_rs256(environ):
    for address in (
        "https://idp.example/keys",
        "http://127.0.0.1:8000/keys",
        "http://[::1]/keys",
        "http://localhost/k",
    ):
        assert Configuration({**environ, "JWT_JWKS_URL": address}).JWT_ALGORITHM == "RS256"


def test_the_secret_for_tokens_is_generated_only_where_others_cannot_reach(environ, tmp_path):
    file = tmp_path / "var/jwt_secret"
    assert Configuration({**environ, **HTTP_FOR_OTHERS}).JWT_SECRET is None
    assert Configuration({**environ, "JWT_JWKS_URL": "https://idp.example/keys"}).JWT_SECRET is None
    assert not file.exists()
    secret = Configuration(environ).JWT_SECRET
    assert file.read_text() == secret
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("SCRIPT_TIMEOUT_SECONDS", 2_592_000),
        ("MAX_CONCURRENT_RUNS", 1000),
        ("MAX_OUTPUT_SIZE_BYTES", 2**40),
        ("HISTORY_ENTRIES", 10_000),
        ("JWT_TTL_MINUTES", 525_600),
    ],
)
def test_a_number_that_is_too_large_is_refused_with_the_bound(environ, name, most):
    assert getattr(Configuration({**environ, name: str(most)}), name) == most
    with pytest.raises(BadVariable, match=f"^{name}: '{most + 1}' is not .* to {most}\\.$"):
        Configuration({**environ, name: str(most + 1)})


@pytest.mark.parametrize("name", ["DATA_DIR", "RUNBOOKS_DIR", "EXECUTION_DIR"])
def test_a_link_to_itself_is_no_folder(environ, tmp_path, name):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(BadVariable, match=f"^{name}: '.*/loop' "):
        Configuration({**environ, name: str(tmp_path / "loop")})


@pytest.mark.parametrize("place", ["runs", "runs/work", "link"])
def test_runs_do_not_work_where_their_logs_are(environ, tmp_path, place):
    (tmp_path / "var/runs").mkdir(parents=True)
    (tmp_path / "var/link").symlink_to("runs")
    with pytest.raises(BadVariable, match=r"^EXECUTION_DIR: "):
        Configuration({**environ, "EXECUTION_DIR": str(tmp_path / "var" / place)})


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
    assert (said.returncode, said.stderr) == (1, "API_PORT: 'http' is not a whole number from 1 to 65535.\n")


def test_a_data_folder_that_cannot_be_written_is_named(environ, tmp_path):
    (tmp_path / "file").touch()
    for given in ({}, {"SECRET_KEY": "x" * 40}):
        with pytest.raises(BadVariable, match=r"^DATA_DIR: cannot write .*/file/var: Not a directory\. Set it "):
            Configuration({**environ, **given, "DATA_DIR": str(tmp_path / "file" / "var")})


def test_a_folder_in_place_of_the_database_is_named(environ, tmp_path):
    (tmp_path / "var/db.sqlite3").mkdir(parents=True)
    with pytest.raises(BadVariable, match=r"^DATA_DIR: cannot write .*db\.sqlite3: Is a directory\."):
        Configuration(environ)


@pytest.mark.parametrize("content", [b"", b"\n", b"short", b"\xff" * 64])
def test_a_secret_that_is_none_is_refused(environ, tmp_path, content):
    (tmp_path / "var").mkdir()
    (tmp_path / "var/secret_key").write_bytes(content)
    with pytest.raises(BadVariable, match=r"^DATA_DIR: .*secret_key holds no whole secret; delete it"):
        Configuration(environ)


def test_a_first_start_with_a_given_secret_makes_the_data_folder(environ, tmp_path):
    start({**environ, "SECRET_KEY": "x" * 40})
    assert stat.S_IMODE((tmp_path / "var").stat().st_mode) == 0o700
    assert not (tmp_path / "var/secret_key").exists()


@pytest.mark.usefixtures("_usual_umask")
def test_the_database_is_the_owners_alone_in_a_folder_that_others_may_read(environ, tmp_path):
    (tmp_path / "var").mkdir(mode=0o755)
    code = """if True:
        import django, os
        django.setup()
        from django.core.management import call_command
        call_command("migrate", verbosity=0)
        from django.conf import settings
        modes = {file.name: oct(file.stat().st_mode)[-3:] for file in settings.DATA_DIR.glob("db.*")}
        print(modes == {"db.sqlite3": "600", "db.sqlite3-shm": "600", "db.sqlite3-wal": "600"} or modes)
    """
    environ = {**os.environ, **environ, "DJANGO_SETTINGS_MODULE": "runbookweb.settings"}
    said = subprocess.run([sys.executable, "-c", code], env=environ, cwd=ROOT, capture_output=True, check=True)
    assert said.stdout == b"True\n"


@pytest.fixture
def _usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_a_power_cut_does_not_undo_what_was_committed(db):
    with connection.cursor() as cursor:
        assert cursor.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
