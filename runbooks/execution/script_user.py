"""The user that scripts run as, if it is another than the server's, and whether the two can work together here."""

import errno
import os
import pwd
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

# Tried as that user, for only the kernel knows all that counts: groups, capabilities, access lists.
TRY = 'cd -- "$1" || exit 11; [ -w . ] && exit 12; [ -r "$2" ] || [ -w "$2" ] || [ -x "$2" ] && exit 13; exit 0'
NO_WAY_IN, MAY_WRITE, SEES_DATA = 11, 12, 13
NOT_ALLOWED = "SCRIPT_USER: only root can start scripts as another user; run the server as root, or unset it."


@dataclass(frozen=True)
class ScriptUser:
    """What a process needs to become this user, and to find its way as it."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


class NoSuchUser(OSError):
    """SCRIPT_USER names nobody; an OSError, because like a missing folder it keeps a run from its start."""


def script_user() -> ScriptUser | None:
    """The user that SCRIPT_USER names, None if scripts run as the user of the server; raises NoSuchUser."""
    name = settings.SCRIPT_USER
    if not name:
        return None
    try:
        entry = pwd.getpwnam(name)
    except (KeyError, ValueError):  # the latter for a name that no user can have
        raise NoSuchUser(errno.ENOENT, "there is no such user", f"SCRIPT_USER {name}") from None
    groups = tuple(os.getgrouplist(name, entry.pw_gid))
    return ScriptUser(name, entry.pw_uid, entry.pw_gid, groups, entry.pw_dir)


def execution_dir() -> Path:
    """EXECUTION_DIR, made if it is not there: closed to everybody else, but that SCRIPT_USER may pass through."""
    folder = settings.EXECUTION_DIR
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o711 if settings.SCRIPT_USER else 0o700)  # whatever the umask is
    return folder


def problem() -> str | None:
    """Why no script can run as SCRIPT_USER here, and what to do; None if it can, or if there is none."""
    try:
        user = script_user()
        return _problem_with(user) if user else None
    except NoSuchUser:
        return f"SCRIPT_USER: there is no user {settings.SCRIPT_USER!r} on this machine; make it, or name another."
    except OSError as error:
        return f"EXECUTION_DIR: cannot use {error.filename}: {error.strerror}. Set it to a folder of yours."


def _problem_with(user: ScriptUser) -> str | None:
    if user.uid == 0:
        return "SCRIPT_USER: root may do anything on this machine; name an ordinary user."
    if user.uid == os.geteuid():
        return f"SCRIPT_USER: {user.name} is the user of this server itself; name another, or unset it."
    if os.geteuid() != 0:
        return NOT_ALLOWED
    if settings.EXECUTION_DIR.resolve().is_relative_to(settings.DATA_DIR.resolve()):
        return "EXECUTION_DIR: it is in DATA_DIR, which is closed to SCRIPT_USER; set it to a folder elsewhere."
    return _problem_with_folders(user, execution_dir().resolve())


def _problem_with_folders(user: ScriptUser, folder: Path) -> str | None:
    place = next((place for place in (folder, *folder.parents) if _can_change(place, user)), None)
    if place:
        # Root would find there whatever the script has put in the place of a run's folder.
        return f"EXECUTION_DIR: {user.name} can change {place}; make it root's, and not writable by others."
    try:
        found = _try_as(user, folder)
    except PermissionError:
        return NOT_ALLOWED
    return {
        NO_WAY_IN: f"EXECUTION_DIR: {user.name} cannot enter {folder}; give it, and each folder above it, mode 711.",
        MAY_WRITE: f"EXECUTION_DIR: {user.name} can change {folder}; make it root's, and not writable by others.",
        SEES_DATA: f"DATA_DIR: {settings.DATA_DIR} is open to {user.name}; give it mode 700.",
    }.get(found)


def _can_change(folder: Path, user: ScriptUser) -> bool:
    """Whether this user may move what is in this folder and belongs to others; where it is sticky, nobody may."""
    info = folder.stat()
    if info.st_uid == user.uid:
        return True
    writable = info.st_mode & stat.S_IWOTH or (info.st_mode & stat.S_IWGRP and info.st_gid in user.groups)
    return bool(writable) and not info.st_mode & stat.S_ISVTX


def _try_as(user: ScriptUser, folder: Path) -> int:
    command = ["/bin/sh", "-c", TRY, "sh", str(folder), str(settings.DATA_DIR)]
    who = {"user": user.uid, "group": user.gid, "extra_groups": user.groups}
    return subprocess.run(command, **who, env={}, cwd="/", stderr=subprocess.DEVNULL, check=False).returncode
