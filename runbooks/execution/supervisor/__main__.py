"""Begins a supervisor, or the process that they are forked from."""

import fcntl
import gc
import marshal
import os
import signal
import socket
import sys

# Started by its path, without the project on it.
sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from runbooks.execution.supervisor.processes import PR_SET_CHILD_SUBREAPER, PR_SET_DUMPABLE, PR_SET_NAME, prctl
from runbooks.execution.supervisor.stream import READ
from runbooks.execution.supervisor.supervisor import Supervisor

PATH_ROOM = 4096


def serve(descriptor):
    """Fork for each request on this socket until its other end is closed; returns in each fork: a folder and a lock.

    A request is the folder's path and three descriptors: lock, specification, complaints. The answer is the fork's pid,
    or what keeps it from being: the number of an error below zero.
    """
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps them: nobody asks how a supervisor has ended
    requests = socket.socket(fileno=descriptor)
    while True:
        folder, received, _, _ = socket.recv_fds(requests, PATH_ROOM, 3)
        if not folder:
            os._exit(0)
        try:
            answer = os.fork()
        except OSError as error:
            answer = -error.errno
        if answer == 0:
            break
        for file in received:
            os.close(file)
        try:
            requests.send(b"%d" % answer)
        except OSError:
            os._exit(0)
    requests.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    lock, specification, complaints = received
    for file, place in ((specification, 0), (complaints, 2)):
        os.dup2(file, place)
        os.close(file)
    return os.fsdecode(folder), lock


def main():
    # First of all: until then, a script of the same user could read our memory, where the secrets come to.
    prctl(PR_SET_DUMPABLE, 0)
    folder, lock = (sys.argv[1], int(sys.argv[2])) if len(sys.argv) == 3 else serve(int(sys.argv[1]))
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    prctl(PR_SET_NAME, b"runbook-" + os.fsencode(os.path.basename(folder)))
    specification = b"".join(iter(lambda: os.read(0, READ), b""))
    try:
        specification = marshal.loads(specification)  # noqa: S302 - our parent wrote it
    except (EOFError, ValueError, TypeError):
        os._exit(0)  # who asked for it died while it wrote; as nothing has started, the run is queued again
    # The script must not inherit the lock, or the run would look alive as long as any process of it lives.
    fcntl.fcntl(lock, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.close(nothing)
    Supervisor(folder, lock, specification).run()
    os._exit(0)


if __name__ == "__main__":
    main()
