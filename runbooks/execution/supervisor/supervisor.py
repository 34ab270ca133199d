"""One script: its start, its deadline, its end, and what is left of it then."""

import os
import select
import signal
import time

from runbooks.execution.supervisor.files import is_same_file
from runbooks.execution.supervisor.log import Log
from runbooks.execution.supervisor.mask import Mask
from runbooks.execution.supervisor.names import Names
from runbooks.execution.supervisor.processes import (
    descendants,
    group,
    has_children,
    kill,
)
from runbooks.execution.supervisor.script import start_script
from runbooks.execution.supervisor.stream import READ, Stream
from runbooks.execution.supervisor.usage import Limits, TooMuch

BACKGROUND = 2.0  # seconds that the script's background processes have after its end
LONGEST_WAIT = 3_600_000  # milliseconds
RETRY = 1.0  # seconds after which a log that could not be written is tried again
MEASURE = 2.0  # seconds after which it looks again at what the script uses
UNKILLABLE = 10.0  # seconds after which a process that survives SIGKILL is left to the system
RESULT_ROOM = 4096
NOTES = 100  # how many notes from outside a log takes: the output limit does not count them


class Supervisor:
    """One script: its process group, its deadline, its end."""

    def __init__(self, folder, lock, specification):
        self.folder, self.lock, self.specification = folder, lock, specification
        self.grace = specification["grace"]
        self.poll = select.poll()
        self._listen()
        # Its blocks are taken now: however full the disk is at the end, how the script ended can be written down.
        self.result = os.open(folder + "/result.draft", os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        os.write(self.result, bytes(RESULT_ROOM))
        self.log = Log(folder + "/log", specification["limit"])
        self.mask = Mask(specification["secrets"])
        self.streams = [Stream(name, self.log, self.mask) for name in (b"stdout", b"stderr")]
        self.notes_left = NOTES
        self.pid = None
        self.code = None  # the script's, once it has ended
        self.ended_at = None
        self.ending = None  # timed_out, cancelled, or failed for what it has used
        self.is_told_to_stop = False
        self.left_behind = False
        self.killed = set()
        self.warnings = []
        self.limits = Limits(specification, warn=self._warn)
        self.at = {}  # what to do at which time of the monotonic clock

    def run(self):
        self.pid = start_script(self.folder, specification=self.specification, streams=self.streams)
        self.at["time_out"] = time.monotonic() + self.specification["timeout"]
        self.at["measure"] = time.monotonic() + MEASURE
        for stream in self.streams:
            os.close(stream.script_end)
            self.poll.register(stream.pipe, select.POLLIN)
        self.open = {stream.pipe: stream for stream in self.streams}
        while not self._is_over():
            self._wait()
            self._reap()
            self._keep_time()
        for stream in self.streams:
            stream.close()
        missing = self.log.finish(note="the script left processes behind; they were ended" if self.left_behind else "")
        if missing:
            self.warnings.append(missing)
        self._hide_names()
        self._write_result()

    # Start

    def _listen(self):
        """Turn signals and requests to cancel into bytes that poll sees."""
        self.wakeup, writer = os.pipe()
        os.set_blocking(self.wakeup, False)
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer)
        # Handlers, never SIG_IGN: an ignored signal stays ignored in the script, which could then not be ended.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGHUP, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._told_to_stop)
        path = self.folder + "/control"
        # Fails if it is there: of two supervisors that were started for one run, one goes on.
        os.mkfifo(path, 0o600)
        # Open for writing too: without a writer of its own, a FIFO reports its end again and again.
        self.control = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.poll.register(self.wakeup, select.POLLIN)
        self.poll.register(self.control, select.POLLIN)

    def _told_to_stop(self, *_):
        self.is_told_to_stop = True  # and no more: a handler may run in the middle of a write to the log

    # While it runs

    def _wait(self):
        deadlines = [*self.at.values(), *(stream.flush_at for stream in self.streams if stream.flush_at)]
        now = time.monotonic()
        # poll takes no more than 24 days.
        milliseconds = min(max(0, int((min(deadlines) - now) * 1000) + 1), LONGEST_WAIT) if deadlines else None
        for descriptor, _ in self.poll.poll(milliseconds):
            if descriptor in self.open:
                if not self.open[descriptor].read():
                    self.poll.unregister(descriptor)
                    del self.open[descriptor]
            elif descriptor == self.wakeup:
                os.read(self.wakeup, READ)
            else:
                self._obey(os.read(self.control, READ))

    def _obey(self, request):
        for line in request.decode("utf-8", "replace").splitlines():
            if line.startswith("cancel "):
                self._end("cancelled", "cancelled by " + line[7:])
            elif line.startswith("note "):
                self._note(line[5:])

    def _note(self, text):
        """Record what the server has to say; anybody of the same user may have written it, so not without end."""
        if self.notes_left and self.code is None:
            self.notes_left -= 1
            text = "".join([character if character.isprintable() else " " for character in text])
            self.log.note(self.mask(text.encode("utf-8", "replace")).decode("utf-8", "replace"))

    def _end(self, state, note):
        if self.ending or self.code is not None:
            return
        self.ending = state
        self.log.note(note + "; the script has %g s to end" % self.grace)
        self.at.pop("time_out", None)
        self.at.pop("measure", None)
        self.at["kill"] = time.monotonic() + self.grace
        self._signal_group(signal.SIGTERM)

    def _reap(self):
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.pid:
                self._ended(os.waitstatus_to_exitcode(status))

    def _ended(self, code):
        self.code = code if code >= 0 else 128 - code
        self.ended_at = time.time()
        self.at.pop("time_out", None)
        self.at.pop("measure", None)
        if not self.ending:
            self.at["close"] = time.monotonic() + BACKGROUND
            if self._signal_group(signal.SIGTERM):
                self.at["kill_group"] = time.monotonic() + BACKGROUND / 2
                self.left_behind = True

    def _keep_time(self):
        now = time.monotonic()
        for stream in self.streams:
            if stream.flush_at and stream.flush_at <= now:
                stream.flush()
        for name in [name for name, moment in self.at.items() if moment <= now]:
            if self.at.pop(name, None):
                getattr(self, "_at_" + name)()
        if self.log.trouble:
            self.at.setdefault("retry", now + RETRY)
        if self.is_told_to_stop:
            self._end("cancelled", "cancelled: the supervisor was told to stop")
        if "kill" in self.at and self.code is not None and not self._signal_group(0):
            self._at_kill()  # the group is gone before its time: what escaped from it need not wait

    def _at_time_out(self):
        self._end("timed_out", "timed out after %g s" % self.specification["timeout"])

    def _at_retry(self):
        self.log.retry()

    def _at_measure(self):
        """End a script that uses more than it may, or whose folder is gone: nobody could look after it any more."""
        try:
            if not is_same_file(self.lock, self.folder + "/lock"):
                raise TooMuch("the folder of this run has been deleted")
            was_whole = self.limits.look()
        except TooMuch as excess:
            self.warnings.append("Ended: %s." % excess)
            self._end("failed", "ended: %s" % excess)
        else:
            self.at["measure"] = time.monotonic() + (MEASURE if was_whole else 0)

    def _warn(self, warning):
        self.warnings.append("%s%s." % (warning[0].upper(), warning[1:]))
        self.log.note("warning: %s" % warning)

    def _at_kill(self):
        """Kill every descendant; those of a killed one become ours, so look again until none is left."""
        self.at.pop("kill", None)
        self.at.setdefault("give_up", time.monotonic() + UNKILLABLE)
        alive = descendants()
        self.killed.update(alive)
        self._signal_group(signal.SIGKILL)  # all at once: none of them has the time to start another
        for pid in alive:
            kill(pid)
        self.at["kill_again"] = time.monotonic() + 0.01

    def _at_kill_again(self):
        if has_children():
            self._at_kill()
        else:
            self.at.pop("give_up", None)
            self.at["close"] = time.monotonic() + BACKGROUND

    def _at_kill_group(self):
        self.killed.update(pid for pid in descendants() if group(pid) == self.pid)
        self._signal_group(signal.SIGKILL)

    def _at_give_up(self):
        self.log.note("some processes of this run survive SIGKILL; they are left to the system")
        self.at, self.open = {}, {}
        if self.code is None:
            self._ended(-signal.SIGKILL)

    def _at_close(self):
        self.open = {}

    def _signal_group(self, number):
        """Signal the script's process group; False means that nothing is left of it."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return True

    # Its end

    def _is_over(self):
        if self.code is None or self.open:
            return False
        if self.ending:
            return "kill" not in self.at and "kill_again" not in self.at
        return "close" not in self.at or not self._signal_group(0)

    def _hide_names(self):
        names = Names(self.mask)
        for output in self.specification["outputs"]:
            names.hide(self.specification["folder"], output)
        if names.hidden:
            self.warnings.append("Secrets in the names of kept files were replaced by *** (%d)." % names.hidden)
        if not names.is_whole:
            self.warnings.append("Not all names of kept files could be searched for secrets.")

    def _write_result(self):
        state = self.ending or ("failed" if self.code else "succeeded")
        result = "state %s\nreturn_code %d\nended_at %.6f\nkilled %d\n" % (
            state,
            self.code,
            self.ended_at,
            len(self.killed),
        )
        result += "".join(["warning %s\n" % warning for warning in self.warnings])
        os.ftruncate(self.result, os.pwrite(self.result, result.encode(), 0))
        os.fsync(self.result)
        try:
            os.rename(self.folder + "/result.draft", self.folder + "/result")
        except FileNotFoundError:
            pass  # somebody has deleted the folder: there is nobody to tell
