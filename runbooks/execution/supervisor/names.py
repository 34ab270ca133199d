"""The names of the files that are kept of a run: whoever sees the run reads them, so no secret may be in them.

They are changed where the script has left them, by the only one who still knows the secrets.
"""

import os

from runbooks.execution.supervisor.files import take

HIDDEN = b"***"
LONGEST = 240  # bytes: a file system takes 255, and a number may be added
MOST_LEVELS = 100  # what lies deeper is not kept


class Names:
    """Renames what has a secret in its name, below the outputs: these themselves are called what the runbook says."""

    def __init__(self, mask):
        self.mask = mask
        self.hidden = 0  # how many names had one
        self.is_whole = True  # whether all could be looked at, and changed

    def hide(self, folder, output):
        """Look through one output of this working folder; one that is not there, or a file, has no names below it."""
        try:
            within = take(folder)
            for part in [part for part in output.split("/") if part not in ("", ".")]:
                above = within
                try:
                    within = take(part, within=above)
                finally:
                    os.close(above)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError:
            self.is_whole = False
            return
        self._hide_below(within, MOST_LEVELS)

    def _hide_below(self, folder, levels):
        try:
            with os.scandir(folder) as entries:
                entries = list(entries)
            names = {entry.name for entry in entries}
            for entry in entries:
                self._hide_one(entry, folder, names, levels)
        finally:
            os.close(folder)

    def _hide_one(self, entry, folder, names, levels):
        try:
            name = self._free_name(entry.name, names)
            if name != entry.name:
                os.rename(entry.name, name, src_dir_fd=folder, dst_dir_fd=folder)
                self.hidden += 1
                names.add(name)
            if levels and entry.is_dir(follow_symlinks=False):
                self._hide_below(take(name, within=folder), levels - 1)
        except FileNotFoundError:
            pass  # something of the script still lives, and has removed it
        except OSError:
            self.is_whole = False

    def _free_name(self, name, names):
        """What it is to be called: as it is, or with *** for each secret, and a number if another is called so."""
        masked = self.mask(os.fsencode(name))
        if masked == os.fsencode(name):
            return name
        free = masked = os.fsdecode(masked if len(masked) <= LONGEST else HIDDEN)
        number = 1
        while free in names:
            number += 1
            free = masked.replace("***", "***%d" % number, 1)
        return free
