"""What an actor may do; every page, stream, download and socket asks here."""

from collections.abc import Collection, Mapping

from django.core.exceptions import PermissionDenied
from django.db.models import F, Lookup, Q, Value
from django.db.models.functions import Coalesce
from django.db.models.lookups import In

from runbooks.access.actor import Actor
from runbooks.document.runbook import Runbook

Required = Mapping[str, tuple[str, ...]]


class Refused(PermissionDenied):
    """The actor has none of the accepted values of some claim; str() names the claims, for people."""

    def __init__(self, actor: Actor, required: Required):
        super().__init__(refusal(actor, required) or "Its Required Claims cannot be read, so nobody may run it.")


def missing_claims(actor: Actor, required: Required) -> dict[str, tuple[str, ...]]:
    """The claims of which the actor has none of the accepted values; empty means: may run it, and see its runs."""
    return {
        claim: accepted for claim, accepted in required.items() if not set(accepted) & set(actor.claims.get(claim, ()))
    }


def refusal(actor: Actor, required: Required) -> str:
    """Why the actor may not run what requires these claims, in plain sentences; empty if nothing is missing."""
    return " ".join(
        f"You need one of these {_values_of(claim)}: {_listed(accepted)}. You have: {_listed(actor.claims.get(claim))}."
        for claim, accepted in missing_claims(actor, required).items()
    )


def sees_runs(actor: Actor, runbook: Runbook) -> bool:
    """Whether the actor may see this runbook's runs, their output and its History."""
    # Claims that cannot be read must not count as claims that are not there.
    return are_claims_readable(runbook) and not missing_claims(actor, runbook.claims)


def seen_runs(actor: Actor, runbooks: Mapping[str, Runbook]) -> Q:
    """The runs of those runbooks, by path, that the actor may run now; of a file that is gone, the actor's own."""
    seen = [path for path, runbook in runbooks.items() if sees_runs(actor, runbook)]
    readable = [path for path, runbook in runbooks.items() if are_claims_readable(runbook)]
    return Q(residual("runbook", seen)) | (Q(residual("actor", [actor.id])) & ~Q(residual("runbook", readable)))


def residual(column: str, values: Collection[str]) -> Lookup:
    """Whether a run's column is one of these, asked of each run that is looked at.

    Asked of an index, a thousand paths would find all runs of all of them, only to sort them and take the newest.
    """
    return In(Coalesce(F(column), Value("")), list(values))


def are_claims_readable(runbook: Runbook) -> bool:
    """Whether the file says who may run it; one that is broken there is like one that is gone."""
    return not any(
        problem.severity == "error" and problem.section in ("Required Claims", "File") for problem in runbook.problems
    )


def _values_of(claim: str) -> str:
    return claim if claim.endswith("s") else f"values of {claim}"


def _listed(values: tuple[str, ...] | None) -> str:
    return ", ".join(values or ()) or "none"
