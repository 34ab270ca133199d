"""The run log as its one writer sees it: entries are appended, held while that is not possible, and counted."""

import os
import time

MAX_LINE = 65536
TAIL = 256 * 1024
RAW_TAIL = 8 * TAIL  # the entries of very short lines are mostly their times
PREFIX = 37


class Log:
    """Appends entries to the log; what it cannot take now is held, the last of it, and written as soon as it can.

    That is what comes after the limit, until the end, and what comes while the disk is full.
    """

    def __init__(self, path, limit):
        # Neither a link nor a pipe, which another script could have put there.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        self.file = os.open(path, flags, 0o600)
        self.limit = self.room = limit
        self.held_room = min(TAIL, limit)
        self.held = bytearray()
        self.held_size = self.left_out = 0  # bytes that the script printed
        self.trouble = ""  # why the log cannot be written now
        self.unfinished = set()  # the streams whose last entry is a part of a line
        self._second = self._date = None

    def lines(self, stream, body):
        """Record complete lines, each with its line end."""
        self.unfinished.discard(stream)
        if self.room >= len(body):
            self.room -= len(body)
            self._write(self._entries(stream, b"F", body), len(body))
            return
        cut = body.rfind(b"\n", 0, max(self.room, 0)) + 1
        if cut:
            self._write(self._entries(stream, b"F", body[:cut]), cut)
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
                self._write(entry, len(piece))
            else:
                self._past_the_limit(entry, len(piece))
        self.unfinished.add(stream)

    def note(self, text):
        """Record a line of the supervisor's own; the limit does not count it."""
        line_end = b"stderr" in self.unfinished
        self.unfinished.discard(b"stderr")
        note = self._note(text)
        self._write(self._entries(b"stderr", b"F", b"\n") + note if line_end else note, len(text))

    def retry(self):
        """Write what has been held since the log could not be written, if it can be now."""
        trouble, self.trouble = self.trouble, ""
        # Past the limit, what was left out was left out for that, too.
        self._release(": the log could not be written (%s)" % trouble if self.room >= 0 else "")

    def finish(self, note=""):
        """Write what is held, and the note; the sentence that is returned says what could not be."""
        if self.trouble:
            self.retry()
        else:
            self._release()
        if note:
            self.note(note)
        os.close(self.file)
        missing = self.held_size + self.left_out
        return "%d bytes at the log's end are missing: %s" % (missing, self.trouble) if self.trouble else ""

    def _past_the_limit(self, entries, size):
        if self.room >= 0:
            self.note(
                "the output limit of %d bytes is reached: the script goes on, what it prints is not recorded but for "
                "its end, at most %d bytes, which follows when it ends" % (self.limit, self.held_room)
            )
            self.room = -1
        self._hold(entries, size)

    def _hold(self, entries, size):
        self.held += entries
        self.held_size += size
        if self.held_size > 2 * self.held_room or len(self.held) > 2 * RAW_TAIL:
            self._trim()

    def _release(self, why=""):
        """Write what is held, after a line that says how much before it was left out."""
        self._trim()
        gap = self._note("%d bytes of output were left out here%s" % (self.left_out, why)) if self.left_out else b""
        rest = self._append(gap + self.held)
        if len(rest) <= len(self.held):
            self.left_out = 0
            self.held[:] = rest
            self.held_size = sum(map(content_size, rest.splitlines(keepends=True)))

    def _trim(self):
        """Keep the last entries that fit."""
        kept, start = 0, len(self.held)
        while start:
            previous = self.held.rfind(b"\n", 0, start - 1) + 1
            size = content_size(self.held[previous:start])
            if kept + size > self.held_room or len(self.held) - previous > RAW_TAIL:
                break
            kept, start = kept + size, previous
        self.left_out += self.held_size - kept
        self.held_size = kept
        del self.held[:start]

    def _note(self, text):
        return self._entries(b"stderr", b"F", b"[runbook] " + text.encode("utf-8", "replace") + b"\n")

    def _entries(self, stream, tag, body):
        seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        if seconds != self._second:
            self._second, self._date = seconds, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)).encode()
        prefix = b"%b.%06dZ %b %b " % (self._date, nanoseconds // 1000, stream, tag)
        return prefix + body[:-1].replace(b"\n", b"\n" + prefix) + b"\n"

    def _write(self, entries, size):
        """Append entries; the script matters more than its log: it goes on while they can only be held."""
        if self.trouble:
            self._hold(entries, size)
        elif rest := self._append(entries):
            self._hold(rest, sum(map(content_size, rest.splitlines(keepends=True))))

    def _append(self, entries):
        """Append these entries, and return those that the disk did not take: none is ever half in the log."""
        written = 0
        try:
            while written < len(entries):
                written += os.write(self.file, entries[written:] if written else entries)
        except OSError as error:
            self.trouble = error.strerror
            whole = entries.rfind(b"\n", 0, written) + 1
            self._take_back(written - whole)
            return entries[whole:]
        return b""

    def _take_back(self, size):
        try:
            os.ftruncate(self.file, os.fstat(self.file).st_size - size)
        except OSError:
            pass  # the disk is broken rather than full: nothing of this log can be trusted to be readable


def content_size(entry):
    """How many bytes of this entry the script printed: the line end of a part is not its own."""
    return len(entry) - PREFIX - (entry[PREFIX - 2] == 80)


def whole_characters(text):
    """How many bytes of this UTF-8 are whole characters: all but the beginning of one at its end."""
    for size in range(1, min(len(text), 3) + 1):
        byte = text[-size]
        if byte & 0xC0 != 0x80:  # a character begins here, and should have two to four bytes, or is one
            wanted = 4 if 0xF0 <= byte < 0xF8 else 3 if 0xE0 <= byte < 0xF0 else 2 if 0xC0 <= byte < 0xE0 else 1
            return len(text) - size if size < wanted else len(text)
    return len(text)
