"""The machine's clock as some processes see it: libfaketime, preloaded, reads from a file how far it is off."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from runbooks.execution import launch

HOUR = 3600


class Clock:
    """A clock that jumps; what counts the seconds since the machine's start goes on as it does on a real machine."""

    def __init__(self, file: Path):
        self.file = file
        self.jump(0)

    def jump(self, seconds: int) -> None:
        """Let it be so many seconds ahead of the real one from now on."""
        draft = self.file.with_suffix(".draft")
        draft.write_text(f"{seconds:+d}")
        draft.rename(self.file)

    @property
    def environment(self) -> dict[str, str]:
        """What a server needs; it sees a jump within a second, for to read the file each time takes too long."""
        return {
            "LD_PRELOAD": str(library()),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    @property
    def supervisor(self) -> Sequence[str]:
        """The command of a supervisor that has this clock, and sees a jump at once."""
        environment = self.environment | {"FAKETIME_NO_CACHE": "1"}
        python = (launch.PYTHON, "-I", "-S", str(launch.SUPERVISOR))
        return ("env", *(f"{name}={value}" for name, value in environment.items()), *python)


def library() -> Path:
    """libfaketime's file; without it, a test is skipped, but not where all tests have to be done."""
    found = [path for root in ("/usr/lib", "/usr/local/lib") for path in Path(root).glob("**/libfaketimeMT.so.1")]
    if not found:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("libfaketime is not installed")
    return found[0]
