"""The files that a runbook keeps of its runs' working folders: what a run's page lists, and each as a download.

A script has made them, and something of it may still live: no link is followed on the way to any of them.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from django.http import Http404
from django.urls import path, reverse
from django.utils.http import content_disposition_header

from runbooks.access.actor import Actor
from runbooks.library import run_for
from runbooks.models import Run
from runbooks.output.stream import Stream
from runbooks.threads import in_thread

MOST_LISTED = 500
MOST_LEVELS = 100
PIECE = 256 * 1024
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe would be waited for


@dataclass(frozen=True, order=True, slots=True)
class OutputFile:
    """A file that was kept; its address is empty if its name cannot stand in one."""

    name: str
    size: int
    url: str


def outputs_context(run: Run) -> dict[str, Any]:
    """The files that were kept of a run, for its page; of very many, some."""
    found: list[OutputFile] = []
    with contextlib.suppress(OSError), _opened(_folder(run), FOLDER) as folder:
        found = list(islice(_files(run, folder), MOST_LISTED + 1))
    return {"outputs": sorted(found[:MOST_LISTED]), "has_more_outputs": len(found) > MOST_LISTED}


def size_of(run: Run, name: str) -> int:
    """The size of the file that was kept under this name; raises Http404 if there is none."""
    with _kept(run, name) as file:
        return os.fstat(file).st_size


def piece_of(run: Run, name: str, *, start: int, most: int) -> bytes:
    """What is in that file from there on."""
    with _kept(run, name) as file:
        return os.pread(file, most, start)


class Output(Stream):
    """One file that was kept, for who may see its run; always to be saved, for nobody knows what is in it."""

    content_type = b"application/octet-stream"
    greeting = b""

    def admit(self, actor: Actor) -> None:
        self.run = run_for(actor, self.scope["url_route"]["kwargs"]["pk"])

    async def open(self) -> None:
        await super().open()
        self.name = self.scope["url_route"]["kwargs"]["name"]
        self.size = await in_thread(size_of, self.run, self.name)

    def more_headers(self) -> list[tuple[bytes, bytes]]:
        return [
            (b"Content-Length", str(self.size).encode()),
            (b"Content-Disposition", content_disposition_header(True, self.name.rpartition("/")[2]).encode()),
            (b"Content-Security-Policy", b"sandbox; default-src 'none'"),
        ]

    async def pump(self) -> None:
        start = 0
        # Opened for each piece: whoever reads slowly keeps nothing open, and whoever leaves leaves nothing open.
        while piece := await in_thread(piece_of, self.run, self.name, start=start, most=min(PIECE, self.size - start)):
            start += len(piece)
            await self.send_body(piece, more_body=True)
            await self.admit_again()


@contextlib.contextmanager
def _kept(run: Run, name: str) -> Iterator[int]:
    """The descriptor of the file that was kept under this name; raises Http404 if there is none."""
    *folders, last = name.split("/")
    try:
        if {"", ".", ".."} & {*folders, last}:
            raise FileNotFoundError
        with contextlib.ExitStack() as stack:
            within = stack.enter_context(_opened(_folder(run), FOLDER))
            for part in folders:
                within = stack.enter_context(_opened(part, FOLDER, within=within))
            file = stack.enter_context(_opened(last, FILE, within=within))
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise FileNotFoundError
            yield file
    except (OSError, ValueError):  # the latter for a NUL
        raise Http404(f"Run #{run.pk} has kept no file of that name.") from None


def _folder(run: Run) -> Path:
    return run.folder / "outputs"


def _files(run: Run, folder: int, *, above: str = "", levels: int = MOST_LEVELS) -> Iterator[OutputFile]:
    """The files in a folder and in those below it."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = above + entry.name
            if entry.is_file(follow_symlinks=False):
                # It may have gone since the folder was read.
                with contextlib.suppress(FileNotFoundError):
                    yield _output_file(run, name, entry.stat(follow_symlinks=False).st_size)
            elif levels and entry.is_dir(follow_symlinks=False):
                with contextlib.suppress(OSError), _opened(entry.name, FOLDER, within=folder) as below:
                    yield from _files(run, below, above=f"{name}/", levels=levels - 1)


def _output_file(run: Run, name: str, size: int) -> OutputFile:
    if name.isprintable():
        return OutputFile(name, size, reverse("output", urlconf="runbooks.web.consumers", args=[run.pk, name]))
    return OutputFile(name.encode("utf-8", "replace").decode(), size, "")


@contextlib.contextmanager
def _opened(name: str | Path, flags: int, *, within: int | None = None) -> Iterator[int]:
    descriptor = os.open(name, flags, dir_fd=within)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


urlpatterns = [path("runs/<int:pk>/outputs/<path:name>", Output.as_asgi(), name="output")]
