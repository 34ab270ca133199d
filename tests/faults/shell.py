"""A shell beside a server: commands of manage.py on its folders."""

import os
import subprocess
import sys
from collections.abc import Sequence

from tests.processes import ROOT
from tests.serving import Site


def manage(site: Site, *command: object, around: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """The command, when it has ended; `around` stands before it."""
    argv = [*around, sys.executable, "manage.py", *map(str, command)]
    return subprocess.run(argv, cwd=ROOT, env=environment_of(site), capture_output=True, text=True, timeout=60)


def begun(site: Site, *command: object) -> subprocess.Popen[bytes]:
    """The command, while it goes on."""
    argv = [sys.executable, "manage.py", *map(str, command)]
    return subprocess.Popen(argv, cwd=ROOT, env=environment_of(site), stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def environment_of(site: Site) -> dict[str, str]:
    return {**os.environ, "DATA_DIR": str(site.data), "RUNBOOKS_DIR": str(site.runbooks)}
