"""Folders that a script has filled, handled by a server that may be root, while something of the script may still live.

It could put a link where a folder was, to have the server change or give away what it cannot reach itself. So nothing
in a folder is touched before that folder is taken from it, from the top down: from then on the names in it stay what
they are. No link is ever followed.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from runbooks.execution.supervisor.files import FOLDER, take

PIECE = 1024 * 1024


@contextlib.contextmanager
def taken(name: str | Path, *, within: int | None = None) -> Iterator[int]:
    """The descriptor of a folder that only the server's user can enter from now on; raises OSError, for a link too."""
    folder = take(name, within=within)
    try:
        yield folder
    finally:
        os.close(folder)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it, however deep; what cannot be removed stays."""
    with contextlib.suppress(OSError):
        path.unlink()
    with contextlib.suppress(OSError):
        walk = _Walk(path)
        try:
            walk.left[0] += _without_files(walk.folder)
            while walk.goes_on():
                continue
        finally:
            walk.close()
        path.rmdir()


class _Walk:
    """Through a folder from below, removing what can be removed.

    It holds one descriptor and goes up by `..`: a script can make more levels than there are descriptors.
    """

    def __init__(self, path: Path):
        self.folder = take(path)
        self.above: list[tuple[str, os.stat_result]] = []  # what each folder on the way down is called, and its parent
        self.left: list[list[str]] = [[]]  # the folders that wait in each

    def goes_on(self) -> bool:
        """Take one step down or up; False at the end."""
        if self.left[-1]:
            self._down(self.left[-1].pop())
        elif self.above:
            self._up()
        else:
            return False
        return True

    def close(self) -> None:
        os.close(self.folder)

    def _down(self, name: str) -> None:
        with contextlib.suppress(OSError):
            parent = os.fstat(self.folder)
            if os.stat(name, dir_fd=self.folder, follow_symlinks=False).st_dev != parent.st_dev:
                return  # what somebody has mounted here is no more the script's than what a link leads to
            self._go_to(take(name, within=self.folder))
            self.above.append((name, parent))
            self.left.append([])
            self.left[-1] += _without_files(self.folder)

    def _up(self) -> None:
        (name, parent), _ = self.above.pop(), self.left.pop()
        self._go_to(os.open("..", FOLDER, dir_fd=self.folder))
        if not os.path.samestat(parent, os.fstat(self.folder)):
            # The script runs as the server's user and has moved it; what is here may be anything.
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), name)
        with contextlib.suppress(OSError):
            os.rmdir(name, dir_fd=self.folder)

    def _go_to(self, folder: int) -> None:
        os.close(self.folder)
        self.folder = folder


def _without_files(folder: int) -> list[str]:
    """Remove all that is no folder; the names of those that are."""
    folders = []
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                else:
                    os.unlink(entry.name, dir_fd=folder)
    return folders


def copy(name: str, new: str, *, within: int, to: int) -> None:
    """Copy a file or folder that holds nothing but files and folders, all of it taken; raises OSError."""
    info = os.stat(name, dir_fd=within, follow_symlinks=False)
    if not stat.S_ISDIR(info.st_mode):
        _copy_file(name, new, info, within=within, to=to)
        return
    os.mkdir(new, 0o700, dir_fd=to)
    with taken(name, within=within) as source, taken(new, within=to) as target, os.scandir(source) as entries:
        for entry in entries:
            copy(entry.name, entry.name, within=source, to=target)


def own_mode(info: os.stat_result) -> int:
    """The mode with which only its owner can use a file of this mode."""
    return info.st_mode & 0o700 | 0o600


def _copy_file(name: str, new: str, info: os.stat_result, *, within: int, to: int) -> None:
    """Copy the bytes that it has now, and holes as holes: a sparse file may be larger than any disk."""
    with (
        _file(name, os.O_RDONLY, within=within) as source,
        _file(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode=own_mode(info), within=to) as target,
    ):
        os.ftruncate(target, info.st_size)
        for start, end in _data(source, size=info.st_size):
            while start < end and (piece := os.pread(source, min(PIECE, end - start), start)):
                start += os.pwrite(target, piece, start)
        os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns))


@contextlib.contextmanager
def _file(name: str, flags: int, *, within: int, mode: int = 0) -> Iterator[int]:
    descriptor = os.open(name, flags | os.O_NOFOLLOW, mode, dir_fd=within)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _data(source: int, *, size: int) -> Iterator[tuple[int, int]]:
    """Where there is data in a file, from its beginning to this size."""
    end = 0
    while end < size:
        try:
            start = os.lseek(source, end, os.SEEK_DATA)
        except OSError as problem:
            if problem.errno == errno.ENXIO:  # nothing but a hole is left
                return
            raise
        end = min(size, os.lseek(source, start, os.SEEK_HOLE))
        yield start, end
