"""What exactly a run has run, in whose name, and with what."""

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any

from runbooks.document.parse import parse
from runbooks.document.runbook import Runbook
from runbooks.models import Run
from runbooks.web.documentation import code_of


@dataclass(frozen=True, slots=True)
class UsedClaim:
    """A claim that the runbook requires, as far as a person's values of it meet that."""

    name: str
    used: str
    accepted: str


def what_ran_context(run: Run) -> dict[str, Any]:
    """The run's script, its values, and the claims by which its person might run it."""
    runbook = _runbook(run.source, PurePosixPath(run.runbook).stem)
    script = runbook.script
    return {
        "script": code_of(script.text, script.language or "sh") if script else None,
        "script_digest": sha256(script.text.encode()).hexdigest() if script else "",
        "values": sorted(run.values.items()),
        "used_claims": [_used_claim(run, claim, accepted) for claim, accepted in sorted(runbook.claims.items())],
    }


@lru_cache(maxsize=32)
def _runbook(source: str, name: str) -> Runbook:
    return parse(source.encode(), name=name)


def _used_claim(run: Run, name: str, accepted: tuple[str, ...]) -> UsedClaim:
    had = run.claims.get(name, ())
    return UsedClaim(name, ", ".join(value for value in had if value in accepted), ", ".join(accepted))
