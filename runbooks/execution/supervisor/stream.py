"""One of the script's two outputs, from its pipe to the log."""

import os
import time

from runbooks.execution.supervisor.log import MAX_LINE, whole_characters

READ = 65536
PARTIAL = 0.05  # seconds that the beginning of a line waits for the rest of it


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
