"""What exactly a run has run, in whose name, and with what."""

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any

from django.utils.safestring import SafeString, mark_safe

from runbooks.document.highlight import Highlighter
from runbooks.document.parse import parse
from runbooks.document.runbook import Runbook
from runbooks.models import Run


@dataclass(frozen=True, slots=True)
class UsedClaim:
    """A claim that the runbook requires, as far as a person's values of it meet that."""

    name: str
    used: str
    accepted: str


@dataclass(frozen=True, slots=True)
class ShownScript:
    """A script as HTML, and the digest of its bytes."""

    html: SafeString
    language: str
    count: int
    sha256: str

    @property
    def numbers(self) -> str:
        return "\n".join(str(number) for number in range(1, self.count + 1))


def what_ran_context(run: Run) -> dict[str, Any]:
    """The run's script, its values, and the claims by which its person might run it."""
    runbook = _runbook(run.source, PurePosixPath(run.runbook).stem)
    return {
        "script": _script(runbook),
        "values": sorted(run.values.items()),
        "used_claims": [_used_claim(run, claim, accepted) for claim, accepted in sorted(runbook.claims.items())],
    }


@lru_cache(maxsize=32)
def _runbook(source: str, name: str) -> Runbook:
    return parse(source.encode(), name=name)


def _script(runbook: Runbook) -> ShownScript | None:
    script = runbook.script
    if script is None:
        return None
    count = len(script.text.removesuffix("\n").split("\n"))
    digest = sha256(script.text.encode()).hexdigest()
    return ShownScript(_highlighted(script.text, script.language), script.language, count, digest)


@lru_cache(maxsize=32)
def _highlighted(text: str, language: str) -> SafeString:
    return mark_safe(Highlighter().html(text, language))  # noqa: S308 - escaped there


def _used_claim(run: Run, name: str, accepted: tuple[str, ...]) -> UsedClaim:
    had = run.claims.get(name, ())
    return UsedClaim(name, ", ".join(value for value in had if value in accepted), ", ".join(accepted))
