"""A user of the tests' own, for scripts that must not run as the server's."""

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import until

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # what is open to every user


@pytest.fixture(scope="session")
def another_user() -> Iterator[pwd.struct_passwd]:
    """A user whom nobody else uses, made for these tests and removed after them."""
    if os.geteuid() != 0 or not shutil.which("useradd"):
        pytest.skip("only root can make a user, and only with useradd")
    name = f"script-{uuid.uuid4().hex[:8]}"
    # Other tests may be changing the file of all users at the same time: it is locked then.
    until(lambda: done("useradd", "--system", "--no-create-home", name))
    yield pwd.getpwnam(name)
    until(lambda: done("userdel", name))


@pytest.fixture
def python() -> str:
    """An interpreter that every user may start: the one that runs the tests may lie in somebody's home."""
    return shutil.which("python3", path=SYSTEM_PATH) or pytest.skip("there is no python3 for every user")


@pytest.fixture
def script_user(another_user: pwd.struct_passwd, settings) -> Iterator[pwd.struct_passwd]:
    """Has scripts run as that user, with an EXECUTION_DIR that it can reach, as it cannot reach a test's own folder."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o711)
    settings.SCRIPT_USER, settings.EXECUTION_DIR = another_user.pw_name, folder / "work"
    settings.DATA_DIR.mkdir(mode=0o700)
    yield another_user
    shutil.rmtree(folder)


def done(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
