"""What is known of a run whose supervisor died before it could say how the script ended."""

import logging
import os
import time
from collections.abc import Iterator
from datetime import datetime

from runbooks.execution import folder
from runbooks.execution.folder import Result
from runbooks.execution.leftovers import LeftAlone, boot_id, end_leftovers, script_of
from runbooks.models import Run, State
from runbooks.output.entries import open_regular

LONGEST_ENTRY = 128 * 1024
logger = logging.getLogger(__name__)


def ending(run: Run) -> Result:
    """How a lost run ended, in so far as anybody can know; what is left of its processes is ended before."""
    why = _why(run)
    killed, about_processes = _end_leftovers(run)
    return Result(State.LOST, None, time.time(), killed, (why, *_last_line(run), *about_processes))


def _why(run: Run) -> str:
    if not folder.exists(run.folder):
        return "Its folder was deleted while it ran, and what it printed with it."
    complaint = folder.complaint(run.folder)
    if complaint:
        return f"Its supervisor failed: {complaint}"
    if not (run.folder / "lock").exists():
        return "The lock in its folder was deleted, by which a supervisor is known to live."
    script = script_of(run.folder)
    if script and script.boot != boot_id():
        return "The machine stopped while it ran, and has started anew since: nothing of it goes on."
    return "Its supervisor ended without a word: it was killed, or the machine or its container stopped."


def _last_line(run: Run) -> Iterator[str]:
    try:
        with os.fdopen(open_regular(run.log), "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LONGEST_ENTRY))
            line = file.read().rpartition(b"\n")[0].rpartition(b"\n")[2]
        if line:
            moment = datetime.fromisoformat(line.partition(b" ")[0].decode())
            yield f"The last line of its log was printed at {moment:%Y-%m-%d %H:%M:%S} UTC."
        else:
            yield "It had printed nothing."
    except (OSError, ValueError):
        return  # there is no log, or another program has written into it


def _end_leftovers(run: Run) -> tuple[int, list[str]]:
    """How many processes were ended, and what there is to say of them; whatever goes wrong, the run is settled."""
    try:
        ended = end_leftovers(run.folder, run=run.pk)
    except LeftAlone as left:
        return left.ended, [f"Processes that may be of this run still go on: {left}. End them if they are."]
    except Exception:
        logger.exception("Trouble while the processes of run %s were ended", run.pk, extra={"run_id": run.pk})
        return 0, ["Whether processes of it still go on could not be found out."]
    words = {0: [], 1: ["1 of its processes was still there, and was ended."]}
    return ended, words.get(ended, [f"{ended} of its processes were still there, and were ended."])
