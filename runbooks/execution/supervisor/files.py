"""The few things that the supervisor does with files beside the log."""

import os

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def take(name, within=None):
    """Open a folder that only our own user can enter from then on; raises OSError, for a link too."""
    try:
        folder = os.open(name, FOLDER, dir_fd=within)
    except PermissionError:
        # The script has closed it to its own user, which is the server's: root is not refused.
        os.chmod(name, 0o700, dir_fd=within)
        folder = os.open(name, FOLDER, dir_fd=within)
    try:
        if os.geteuid() == 0:
            os.fchown(folder, 0, os.getegid())
        os.fchmod(folder, 0o700)
    except OSError:
        os.close(folder)
        raise
    return folder


def create(path, text):
    """Make a file that has this text from its first moment, and is still there after a power cut."""
    descriptor = os.open(path + ".draft", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    os.write(descriptor, text.encode())
    os.fsync(descriptor)
    os.close(descriptor)
    os.rename(path + ".draft", path)
    descriptor = os.open(os.path.dirname(path), os.O_RDONLY | os.O_CLOEXEC)
    os.fsync(descriptor)
    os.close(descriptor)


def first_line(path, default=""):
    try:
        with open(path) as file:
            return file.readline()
    except OSError:
        return default


def is_same_file(descriptor, path):
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False
