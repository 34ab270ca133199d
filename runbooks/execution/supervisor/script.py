"""The birth of a script: what it may have, who it is, and that it does nothing before it is written down."""

import os
import resource
import signal

from runbooks.execution.supervisor.files import create
from runbooks.execution.supervisor.processes import PR_SET_PDEATHSIG, identity, prctl


def start_script(folder, specification, streams):
    """Start the script as leader of a session and group of its own; its process, once that is written down."""
    supervisor = os.getpid()
    ready, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(go)
        become_script(specification, streams, ready=ready, supervisor=supervisor)
    os.close(ready)
    create(folder + "/started", identity(pid))
    try:
        os.write(go, b"!")
    except BrokenPipeError:
        pass  # it has ended already: how, waitpid tells
    os.close(go)
    return pid


def become_script(specification, streams, ready, supervisor):
    argv = specification["argv"]
    try:
        os.setsid()
        confine(specification, streams)
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # after the change of user, which clears it
        if os.getppid() != supervisor:
            os._exit(127)  # it died before the line above could have told us
        os.dup2(streams[0].script_end, 1)
        os.dup2(streams[1].script_end, 2)
        # Python ignores the first two, and a shell's & the third; a script should not.
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)
        os.chdir(specification["folder"])
        if os.read(ready, 1):  # or the supervisor has failed, and has not begun
            os.execve(argv[0], argv, specification["environment"])
    except OSError as error:
        os.write(2, ("[runbook] cannot start %s: %s\n" % (argv[0], error.strerror)).encode())
    finally:
        os._exit(127)


def confine(specification, streams):
    """Give this process the limits of a script, and its user."""
    memory, processes, user = (specification[name] for name in ("memory", "processes", "user"))
    limit(resource.RLIMIT_CORE, 0)  # what a script was given would stay on the disk
    if memory:
        limit(resource.RLIMIT_DATA, memory)
    if processes and user:
        limit(resource.RLIMIT_NPROC, processes)
    if user:
        uid, gid, groups = user
        for stream in streams:  # or the script could not open /dev/stderr, which leads to it
            os.fchown(stream.script_end, uid, gid)
        os.setgroups(groups)
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)


def limit(kind, most):
    """Let this process and what it starts have no more of this, and not raise that again."""
    _, allowed = resource.getrlimit(kind)
    most = most if allowed == resource.RLIM_INFINITY else min(most, allowed)
    resource.setrlimit(kind, (most, most))
