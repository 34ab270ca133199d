"""The script's processes as the kernel knows them, and what the kernel is asked to do about this one."""

import ctypes
import os
import signal
import sys

from runbooks.execution.supervisor.files import first_line

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NAME, PR_SET_CHILD_SUBREAPER = 1, 4, 15, 36


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
    """Whether nothing of it runs any more; while its first thread alone has ended, it only looks like that."""
    fields = first_line("/proc/%d/stat" % pid).rpartition(")")[2].split()
    return not fields or (fields[0] in "ZX" and int(fields[17]) < 2)


def thread(pid):
    """One of its threads that still runs, by which the kernel tells of its memory."""
    try:
        return max(os.listdir("/proc/%d/task" % pid), key=int)
    except (OSError, ValueError):
        return pid


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


def identity(pid):
    """What tells this process, and ours, from all that there will be: numbers are used again, with a start time not."""
    facts = (pid, start_time(pid), first_line("/proc/sys/kernel/random/boot_id").strip())
    return "pid %d\nstart %s\nboot %s\n" % facts + "supervisor %d\nsupervisor_start %s\n" % (
        os.getpid(),
        start_time(os.getpid()),
    )


def start_time(pid):
    """When it began, in ticks since the machine did."""
    return (first_line("/proc/%d/stat" % pid).rpartition(")")[2].split()[19:20] or ["0"])[0]


def prctl(option, value):
    """Set an attribute of this process; only Linux has them."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
