"""A start that may be asked for again: the same key of the same actor gives the run that it has started already."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from runbooks.models import IdempotencyKey, Run

KEPT = timedelta(hours=24)
KEY = re.compile(r"[\x20-\x7e]{1,255}")


class BadKey(ValueError):
    """What was given cannot be a key; str() says what can, for people."""


class KeyReused(Exception):
    """The key has started `run` already, and something else is asked for with it now; str() says so, for people."""

    def __init__(self, run: Run):
        super().__init__(
            f"This key has started run #{run.pk} already, of another runbook or with other values: "
            "send a new Idempotency-Key to start another run."
        )
        self.run = run


@dataclass(frozen=True)
class Start:
    """One start, as its actor named it; without a key nothing is known of others."""

    actor: str
    key: str
    fingerprint: str

    def earlier_run(self) -> Run | None:
        """The run that the key has started; raises KeyReused if that was by another wish."""
        if not self.key:
            return None
        kept = IdempotencyKey.objects.filter(created_at__gt=timezone.now() - KEPT).select_related("run")
        known = kept.filter(actor=self.actor, key=self.key).first()
        return self._run_of(known) if known else None

    def first_run(self, run: Run) -> Run:
        """The run that the key belongs to: this new one, unless another was quicker; raises KeyReused as well.

        To be asked in the transaction that makes the run, so that neither is there without the other.
        """
        if not self.key:
            return run
        IdempotencyKey.objects.filter(created_at__lte=timezone.now() - KEPT).delete()
        new = {"run": run, "fingerprint": self.fingerprint}
        return self._run_of(IdempotencyKey.objects.get_or_create(actor=self.actor, key=self.key, defaults=new)[0])

    def _run_of(self, known: IdempotencyKey) -> Run:
        if not constant_time_compare(known.fingerprint, self.fingerprint):
            raise KeyReused(known.run)
        return known.run


def start_of(actor: str, key: str, *, runbook: str, values: Mapping[str, str], is_confirmed: bool) -> Start:
    """The start that is asked for with this key, or with none; raises BadKey."""
    if key and not KEY.fullmatch(key):
        raise BadKey("An Idempotency-Key is 1 to 255 printable ASCII characters; this one is not.")
    wish = json.dumps([runbook, dict(values), is_confirmed], sort_keys=True)
    # Keyed, for the values may be secrets that are easily guessed.
    return Start(actor, key, salted_hmac(__name__, wish, algorithm="sha256").hexdigest() if key else "")
