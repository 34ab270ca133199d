"""The environment that a script gets: built from nothing, so that nothing of the server's reaches it by accident."""

import json
import os
from collections.abc import Mapping
from datetime import timedelta
from fnmatch import fnmatchcase

from django.conf import settings

from runbooks.access import tokens
from runbooks.access.actor import Actor
from runbooks.document.runbook import Runbook, looks_secret
from runbooks.document.validate import is_refused_name
from runbooks.execution.ancestry import stack_of
from runbooks.execution.script_user import script_user
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
# Proxies commonly take no line of a header above 8 KiB, its name included; who asks is known by the token all the same.
LONGEST_STACK, MOST_NAMES = 4 * 1024, 100
# A token ends with its run, whatever it says itself; one that dies before, because a clock has been set, is no use.
MARGIN = timedelta(days=2)


def environment(run: Run, values: Mapping[str, str], *, token: str) -> dict[str, str]:
    """The script's whole environment; what comes later in here wins."""
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    identity = {}
    if user := script_user():
        inherited.pop("TMPDIR", None)  # the server's, where this user may not be able to write
        identity = {"HOME": user.home, "USER": user.name, "LOGNAME": user.name}
    ours = own_values(run, token=token)
    return {**DEFAULTS, **inherited, **FIXED, **provided_values(), **identity, **values, **ours}


def own_values(run: Run, *, token: str) -> dict[str, str]:
    """What a script needs to run other runbooks as the one who asked for this run, and as a part of it."""
    stack = _stack(run)
    correlation_id = run.correlation_id or f"run-{run.pk}"
    headers = {
        "RUNBOOK_H_AUTH": f"Authorization: Bearer {token}",
        "RUNBOOK_H_CORR": f"X-Correlation-Id: {correlation_id}",
        "RUNBOOK_H_RECUR": f"X-Recursion-Stack: {stack}",
        "RUNBOOK_H_CTYPE": "Content-Type: application/json",
    }
    return {
        "RUNBOOK_RUN_ID": str(run.pk),
        "RUNBOOK_URL": settings.API_URL,
        "RUNBOOK_API_TOKEN": token,
        "RUNBOOK_CORRELATION_ID": correlation_id,
        "RUNBOOK_RECURSION_STACK": stack,
        "RUNBOOK_EXEC_DIR_HOST": _work_on_the_host(run),
        "RUNBOOK_HEADERS": "\n".join(headers.values()),
        **headers,
    }


def run_token(run: Run, *, grace: float) -> str:
    """A token for the script of this run: whoever asked for it, with the same claims, as long as it runs."""
    actor = Actor(run.actor, {claim: tuple(values) for claim, values in run.claims.items()})
    token, _ = tokens.issue(actor, run=run.pk, lifetime=timedelta(seconds=run.timeout + grace) + MARGIN)
    return token


def _stack(run: Run) -> str:
    """The runbooks from the outermost to this one as JSON in ASCII, without the first ones if they are too many."""
    paths = stack_of(run)[-MOST_NAMES:]
    while len(paths) > 1 and len(json.dumps(paths)) > LONGEST_STACK:
        del paths[0]
    return json.dumps(paths)


def _work_on_the_host(run: Run) -> str:
    return f"{settings.MOUNT_DIR.rstrip('/')}/{run.pk}" if settings.MOUNT_DIR else str(run.work)


def provided_values() -> dict[str, str]:
    """What SCRIPT_ENV lets scripts have of the server's own environment."""
    return {
        name: value
        for name, value in os.environ.items()
        if any(fnmatchcase(name, glob) for glob in settings.SCRIPT_ENV)
        and name not in OWN
        and not is_refused_name(name)
    }


def provided_secrets(runbook: Runbook) -> list[str]:
    """Those of provided_values that no log may show: by their name, or because the runbook says so."""
    said = {requirement.name for requirement in runbook.requirements if requirement.secret}
    return [value for name, value in provided_values().items() if looks_secret(name) or name in said]
