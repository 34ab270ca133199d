"""What the same costs without Runbookweb, on this machine and at this moment: processes, pipes and sockets, bare."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.clients import Stream, read
from bench.site import RUNBOOKS

PYTHON = os.path.realpath(sys._base_executable or sys.executable)
SCRIPT = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def processes() -> float:
    """The seconds that a Python which does nothing and a shell which runs `true` take, one after the other."""
    began = time.perf_counter()
    for argv in ([PYTHON, "-I", "-S", "-c", "pass"], ["/bin/sh", "-c", "true"]):
        os.waitpid(os.posix_spawn(argv[0], argv, {}), 0)
    return time.perf_counter() - began


def ticks(folder: Path, **values: str) -> list[float]:
    """How old the lines of the runbook Ticks are when they arrive by a pipe."""
    script = folder / "ticks"
    script.write_text(SCRIPT.search((RUNBOOKS / "Ticks.md").read_text())[1])
    script.chmod(0o700)
    mine, scripts = os.pipe()
    with subprocess.Popen([script], stdout=scripts, env=os.environ | values):
        os.close(scripts)
        stream = Stream(mine)
        read([stream])
    return stream.ages


def cat(file: Path) -> float:
    """The seconds that `cat` takes to send a file to the reader by a socket."""
    with _connection() as (writer, descriptor):
        began = time.perf_counter()
        with subprocess.Popen(["cat", file], stdout=writer):
            writer.close()
            read([Stream(descriptor)])
        return time.perf_counter() - began


@contextlib.contextmanager
def _connection() -> Iterator[tuple[socket.socket, int]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        writer = socket.create_connection(server.getsockname())
        yield writer, server.accept()[0].detach()
