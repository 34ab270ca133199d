"""Runs one script to its end and records what it prints: one small process per run, which no server needs to outlive.

Started by launch.py as `python -I -S supervisor.py FOLDER LOCK` with the specification (marshal) on its standard input.
It writes into FOLDER:

  log      what the script prints, in the Kubernetes CRI format (output/entries.py reads it)
  started  made before the script starts: without it the script never began
  result   how it ended, one `name value` pair a line, complete as soon as the name exists

and listens on FOLDER/control, a FIFO, for the lines `cancel NAME` and `note TEXT`. LOCK is the descriptor of the file
that is locked as long as this process lives. Standard library only, and of that only what loads in a millisecond:
Python's start is most of what a short run costs.
"""

import _signal as signal  # the module signal imports enum, which takes half as long as all of Python's start
import bisect
import fcntl
import marshal
import os
import select
import sys
import time

READ = 65536
MAX_LINE = 65536
TAIL = 256 * 1024
PARTIAL = 0.05  # seconds that the beginning of a line waits for the rest of it
BACKGROUND = 2.0  # seconds that the script's background processes have after its end
LONGEST_WAIT = 3_600_000  # milliseconds
UNKILLABLE = 10.0  # seconds after which a process that survives SIGKILL is left to the system
PREFIX = 37
RESULT_ROOM = 4096
NOTES = 100  # how many notes from outside a log takes: the output limit does not count them
HINT, LONG = 4, 32  # so many bytes that a long secret begins with are none: they may be shown before the rest comes
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 1, 4, 36


class Log:
    """Appends entries to the log: the beginning up to the limit as it comes, then, at the end, the last of the rest."""

    def __init__(self, path, limit):
        self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.limit = self.room = limit
        self.tail_room = min(TAIL, limit)
        self.tail = bytearray()
        self.tail_size = self.left_out = 0
        self.trouble = ""
        self.unfinished = set()  # the streams whose last entry is a part of a line
        self._second = self._date = None

    def lines(self, stream, body):
        """Record complete lines, each with its line end."""
        self.unfinished.discard(stream)
        if self.room >= len(body):
            self.room -= len(body)
            self._write(self._entries(stream, b"F", body))
            return
        cut = body.rfind(b"\n", 0, max(self.room, 0)) + 1
        if cut:
            self._write(self._entries(stream, b"F", body[:cut]))
        self._past_the_limit(self._entries(stream, b"F", body[cut:]), len(body) - cut)

    def part(self, stream, body):
        """Record a part of a line, whose rest comes later or never."""
        while body:
            # No entry ends within a character: each can be read without the one before it.
            cut = whole_characters(body[:MAX_LINE]) or len(body)
            piece, body = body[:cut], body[cut:]
            entry = self._entries(stream, b"P", piece + b"\n")
            if self.room >= len(piece):
                self.room -= len(piece)
                self._write(entry)
            else:
                self._past_the_limit(entry, len(piece))
        self.unfinished.add(stream)

    def note(self, text):
        """Record a line of the supervisor's own; the limit does not count it."""
        if b"stderr" in self.unfinished:
            self.unfinished.discard(b"stderr")
            self._write(self._entries(b"stderr", b"F", b"\n"))
        self._write(self._entries(b"stderr", b"F", b"[runbook] " + text.encode("utf-8", "replace") + b"\n"))

    def finish(self, note=""):
        self._trim()
        if self.left_out:
            self.note("%d bytes of output were left out here" % self.left_out)
        self._write(self.tail)
        if note:
            self.note(note)
        os.close(self.file)

    def _past_the_limit(self, entries, size):
        if self.room >= 0:
            self.note(
                "the output limit of %d bytes is reached: the script goes on, what it prints is not recorded but for "
                "the last %d bytes, which follow at its end" % (self.limit, self.tail_room)
            )
            self.room = -1
        self.tail += entries
        self.tail_size += size
        if self.tail_size > 2 * self.tail_room:
            self._trim()

    def _trim(self):
        """Keep the last entries that fit."""
        kept, start = 0, len(self.tail)
        while start:
            previous = self.tail.rfind(b"\n", 0, start - 1) + 1
            is_part = self.tail[previous + PREFIX - 2] == 80  # P: its line end is not the script's
            size = start - previous - PREFIX - is_part
            if kept + size > self.tail_room:
                break
            kept, start = kept + size, previous
        self.left_out += self.tail_size - kept
        self.tail_size = kept
        del self.tail[:start]

    def _entries(self, stream, tag, body):
        seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        if seconds != self._second:
            self._second, self._date = seconds, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)).encode()
        prefix = b"%b.%06dZ %b %b " % (self._date, nanoseconds // 1000, stream, tag)
        return prefix + body[:-1].replace(b"\n", b"\n" + prefix) + b"\n"

    def _write(self, entries):
        try:
            while entries and not self.trouble:
                entries = entries[os.write(self.file, entries) :]
        except OSError as error:
            # The script matters more than its log: it goes on, and the run says that its log is not complete.
            self.trouble = "the log could not be written: " + error.strerror


def whole_characters(text):
    """How many bytes of this UTF-8 are whole characters: all but the beginning of one at its end."""
    for size in range(1, min(len(text), 3) + 1):
        byte = text[-size]
        if byte & 0xC0 != 0x80:  # a character begins here, and should have two to four bytes, or is one
            wanted = 4 if 0xF0 <= byte < 0xF8 else 3 if 0xE0 <= byte < 0xF0 else 2 if 0xC0 <= byte < 0xE0 else 1
            return len(text) - size if size < wanted else len(text)
    return len(text)


class Mask:
    """Replaces secret values, also where one arrives in several pieces."""

    def __init__(self, secrets):
        self.secrets = sorted(secrets, key=len, reverse=True)
        self.in_order = sorted(secrets)
        self.longest = max(map(len, secrets), default=0)
        self.first_bytes = {secret[0] for secret in secrets}

    def __call__(self, body):
        for secret in self.secrets:
            body = body.replace(secret, b"***")
        return body

    def unfinished(self, body):
        """What can be shown of an unfinished line, and the rest, which may be the beginning of a secret."""
        shown = b""
        while True:
            found = [(start, -len(secret)) for secret in self.secrets if (start := body.find(secret)) >= 0]
            if not found:
                cut = self._beginning(body)
                return shown + body[:cut], body[cut:]
            start, size = min(found)
            if self._begins_a_longer_one(body[start:]):
                return shown + body[:start], body[start:]
            shown, body = shown + body[:start] + b"***", body[start - size :]

    def is_hint(self, text):
        """Whether this beginning is too short to be held back: a prompt may well end in the same letter."""
        if len(text) >= HINT:
            return False
        place = bisect.bisect_left(self.in_order, text)
        while place < len(self.in_order) and self.in_order[place].startswith(text):
            if len(self.in_order[place]) < LONG:
                return False
            place += 1
        return True

    def _beginning(self, body):
        """Where the longest end of this text is that a secret begins with."""
        for position in range(max(0, len(body) - self.longest + 1), len(body)):
            if body[position] in self.first_bytes and self._begins_a_longer_one(body[position:]):
                return position
        return len(body)

    def _begins_a_longer_one(self, text):
        nearest = bisect.bisect_right(self.in_order, text)
        return nearest < len(self.in_order) and self.in_order[nearest].startswith(text)


class Stream:
    """One of the script's two outputs on its way into the log."""

    def __init__(self, name, log, mask):
        self.name, self.log, self.mask = name, log, mask
        self.pipe, self.script_end = os.pipe()
        os.set_blocking(self.pipe, False)
        self.pending = b""
        self.shown = b""  # the beginning of what is pending, if it has been recorded already
        self.flush_at = None

    def read(self):
        """Record what has arrived; False means that nobody holds the other end any more."""
        try:
            data = os.read(self.pipe, READ)
        except BlockingIOError:
            return True
        if not data:
            return False
        if self.pending:
            data = self.pending + data
        cut = data.rfind(b"\n") + 1
        if cut:
            self._lines(self._new(self.mask(data[:cut] if cut < len(data) else data)))
            data = data[cut:]
            self.flush_at = None
        self.pending = data
        if len(data) >= MAX_LINE:
            self.flush()
        elif data and self.flush_at is None:
            self.flush_at = time.monotonic() + PARTIAL
        return True

    def flush(self, final=False):
        """Record the beginning of a line although the rest has not come."""
        shown, self.pending = (self.mask(self.pending), b"") if final else self.mask.unfinished(self.pending)
        if not final:
            cut = whole_characters(shown)
            shown, self.pending = shown[:cut], shown[cut:] + self.pending
        new = self._new(shown) if shown else b""
        if whole_characters(self.pending) and not self.shown and self.mask.is_hint(self.pending):
            self.shown = self.pending
            new += self.shown
        if new:
            self.log.part(self.name, new)
        self.flush_at = None

    def close(self):
        self.flush(final=True)
        os.close(self.pipe)

    def _new(self, text):
        """What of this masked text has not been recorded yet."""
        shown, self.shown = self.shown, b""
        return text.removeprefix(shown)

    def _lines(self, body):
        end = body.find(b"\n")
        if end > MAX_LINE:  # only the first line can be: the others are shorter than what one read returns
            cut = whole_characters(body[: end // MAX_LINE * MAX_LINE])
            self.log.part(self.name, body[:cut])
            body = body[cut:]
        self.log.lines(self.name, body)


class Supervisor:
    """One script: its process group, its deadline, its end."""

    def __init__(self, folder, specification):
        self.folder, self.specification = folder, specification
        self.grace = specification["grace"]
        self.log = Log(folder + "/log", specification["limit"])
        # Its blocks are taken now: however full the disk is at the end, how the script ended can be written down.
        self.result = os.open(folder + "/result.draft", os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        os.write(self.result, bytes(RESULT_ROOM))
        self.mask = Mask(specification["secrets"])
        self.streams = [Stream(name, self.log, self.mask) for name in (b"stdout", b"stderr")]
        self.notes_left = NOTES
        self.poll = select.poll()
        self.pid = None
        self.code = None  # the script's, once it has ended
        self.ended_at = None
        self.ending = None  # timed_out or cancelled
        self.is_told_to_stop = False
        self.left_behind = False
        self.killed = set()
        self.at = {}  # what to do at which time of the monotonic clock

    def run(self):
        self._listen()
        create(self.folder, "started")
        self.pid = self._start()
        self.at["time_out"] = time.monotonic() + self.specification["timeout"]
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
        self.log.finish(note="the script left processes behind; they were ended" if self.left_behind else "")
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
        os.mkfifo(path, 0o600)
        # Open for writing too: without a writer of its own, a FIFO reports its end again and again.
        self.control = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.poll.register(self.wakeup, select.POLLIN)
        self.poll.register(self.control, select.POLLIN)

    def _told_to_stop(self, *_):
        self.is_told_to_stop = True  # and no more: a handler may run in the middle of a write to the log

    def _start(self):
        supervisor = os.getpid()
        pid = os.fork()
        if pid:
            return pid
        argv = self.specification["argv"]
        try:
            os.setsid()
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != supervisor:
                os._exit(127)  # it died before the line above could have told us
            os.dup2(self.streams[0].script_end, 1)
            os.dup2(self.streams[1].script_end, 2)
            # Python ignores the first two, and a shell's & the third; a script should not.
            for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGQUIT):
                signal.signal(number, signal.SIG_DFL)
            os.chdir(self.specification["folder"])
            os.execve(argv[0], argv, self.specification["environment"])
        except OSError as error:
            os.write(2, ("[runbook] cannot start %s: %s\n" % (argv[0], error.strerror)).encode())
        finally:
            os._exit(127)

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
        if self.is_told_to_stop:
            self._end("cancelled", "cancelled: the supervisor was told to stop")
        if "kill" in self.at and self.code is not None and not self._signal_group(0):
            self._at_kill()  # the group is gone before its time: what escaped from it need not wait

    def _at_time_out(self):
        self._end("timed_out", "timed out after %g s" % self.specification["timeout"])

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

    def _write_result(self):
        state = self.ending or ("failed" if self.code else "succeeded")
        result = "state %s\nreturn_code %d\nended_at %.6f\nkilled %d\n" % (
            state,
            self.code,
            self.ended_at,
            len(self.killed),
        )
        if self.log.trouble:
            result += "warning %s\n" % self.log.trouble
        os.ftruncate(self.result, os.pwrite(self.result, result.encode(), 0))
        os.fsync(self.result)
        os.rename(self.folder + "/result.draft", self.folder + "/result")


def descendants():
    """The processes below this one that still run."""
    found, parents = [], [os.getpid()]
    while parents:
        parent = parents.pop()
        try:
            for thread in os.listdir("/proc/%d/task" % parent):
                with open("/proc/%d/task/%s/children" % (parent, thread)) as file:
                    children = [int(pid) for pid in file.read().split()]
                found += children
                parents += children
        except OSError:
            continue  # it has just ended
    return [pid for pid in found if not is_zombie(pid)]


def is_zombie(pid):
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def has_children():
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def group(pid):
    try:
        return os.getpgid(pid)
    except OSError:
        return None


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        pass


def create(folder, name):
    """Make an empty file that is still there after a power cut."""
    for path, flags in ((folder + "/" + name, os.O_WRONLY | os.O_CREAT), (folder, os.O_RDONLY)):
        descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
        os.fsync(descriptor)
        os.close(descriptor)


def prctl(option, value):
    """Set an attribute of this process; only Linux has them."""
    if sys.platform != "linux":
        return
    import _ctypes  # ctypes itself takes half as long to import as all of Python's start

    _ctypes.call_function(_ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl"), (option, value, 0, 0, 0))


def main():
    # First of all: until then, a script of the same user could read our memory, where the secrets come to.
    prctl(PR_SET_DUMPABLE, 0)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    folder, lock = sys.argv[1], int(sys.argv[2])
    specification = b"".join(iter(lambda: os.read(0, READ), b""))
    try:
        specification = marshal.loads(specification)  # noqa: S302 - our parent wrote it
    except (EOFError, ValueError, TypeError):
        return  # our parent died while it wrote; as nothing has started, the run is queued again
    # The script must not inherit the lock, or the run would look alive as long as any process of it lives.
    fcntl.fcntl(lock, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    Supervisor(folder, specification).run()
    os._exit(0)


if __name__ == "__main__":
    main()
