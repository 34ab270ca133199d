"""The environment that a script gets: built from nothing, so that nothing of the server's reaches it by accident."""

import os
from fnmatch import fnmatchcase

from django.conf import settings

from runbooks.document.runbook import looks_secret
from runbooks.document.validate import is_refused_name
from runbooks.models import Run
from runbookweb.env import VARIABLES

INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR")
DEFAULTS = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/", "LANG": "C.UTF-8"}
OWN = {variable.name for variable in VARIABLES if variable.secret}  # no glob gives these away
# Nobody sits at a terminal: no pager may wait for a key, and Python's output must not wait for a full buffer.
FIXED = {
    "TERM": "dumb",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "SYSTEMD_PAGER": "cat",
    "GIT_TERMINAL_PROMPT": "0",
    "PYTHONUNBUFFERED": "1",
}


def environment(run: Run, values: dict[str, str]) -> dict[str, str]:
    """The script's whole environment; what comes later in here wins."""
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return {**DEFAULTS, **inherited, **FIXED, **provided_values(), **values, "RUNBOOK_RUN_ID": str(run.pk)}


def provided_values() -> dict[str, str]:
    """What SCRIPT_ENV lets scripts have of the server's own environment."""
    return {
        name: value
        for name, value in os.environ.items()
        if any(fnmatchcase(name, glob) for glob in settings.SCRIPT_ENV)
        and name not in OWN
        and not is_refused_name(name)
    }


def provided_secrets() -> list[str]:
    """Those of provided_values that no log may show."""
    return [value for name, value in provided_values().items() if looks_secret(name)]
