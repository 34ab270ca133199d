"""A small disk of its own, which can be filled, emptied and made read-only: a tmpfs, which only root may mount."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

MEGABYTE = 1024 * 1024
Disks = Callable[..., "Disk"]


class Disk:
    """A mounted file system."""

    def __init__(self, folder: Path, *, size: int):
        self.folder, self.ballast = folder, folder / "ballast"
        folder.mkdir(exist_ok=True)
        _mount("-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(folder))

    def fill(self) -> None:
        """Leave no room, not even for one byte."""
        with contextlib.suppress(OSError), self.ballast.open("ab", buffering=0) as file:
            while file.write(bytes(4096)):
                continue

    def make_room(self) -> None:
        self.ballast.unlink()

    def make_read_only(self) -> None:
        _mount("-o", "remount,ro", str(self.folder))

    def unmount(self) -> None:
        # Lazily: a process that still holds a file there keeps it until it ends.
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


@contextlib.contextmanager
def disks(folder: Path) -> Iterator[Disks]:
    """Mount disks below this folder; they are gone afterwards."""
    with contextlib.ExitStack() as mounted:

        def mount(name: str = "disk", *, size: int = 4 * MEGABYTE) -> Disk:
            disk = Disk(folder / name, size=size)
            mounted.callback(disk.unmount)
            return disk

        yield mount


def _mount(*options: str) -> None:
    done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if done.returncode:
        may_skip = os.geteuid() != 0 or not os.environ.get("CI")
        (pytest.skip if may_skip else pytest.fail)(f"no disk can be mounted here: {done.stderr.strip()}")
