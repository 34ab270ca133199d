"""This process as the kernel sees it; imports next to nothing, because it comes first."""

import ctypes
import sys

PR_SET_DUMPABLE = 4


def keep_from_scripts() -> None:
    """Close this process's memory and environment in /proc to scripts, which may run as the same user."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0)
