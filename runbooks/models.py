"""The Run row: what was asked, by whom, and how it ended; what was printed is in the run's log."""

from pathlib import Path

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone


class State(models.TextChoices):
    """Where a run stands; the label is the word that people read."""

    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    SUCCEEDED = "succeeded", "succeeded"
    FAILED = "failed", "failed"
    TIMED_OUT = "timed_out", "timed out"
    CANCELLED = "cancelled", "cancelled"
    LOST = "lost", "lost"
    REFUSED = "refused", "refused"


ACTIVE = (State.QUEUED, State.RUNNING)


def runs_folder() -> Path:
    """Where each run has its folder; a touch of it tells runners of other processes to look at the table."""
    return settings.DATA_DIR / "runs"


class Run(models.Model):
    """One execution of one runbook; each move between states is one conditional update whose row count says who won."""

    runbook = models.CharField(max_length=500, help_text="the file's path below RUNBOOKS_DIR")
    state = models.CharField(max_length=20, choices=State, default=State.QUEUED)
    actor = models.CharField(max_length=255, help_text="who asked for it")
    claims = models.JSONField(default=dict, help_text="the actor's claims at that time")
    values = models.JSONField(default=dict, help_text="the form's values; a secret is ***")
    sealed_values = models.BinaryField(null=True, help_text="the secret values, encrypted, until the script starts")
    source = models.TextField(help_text="the runbook as it was asked for, without its History")
    timeout = models.PositiveIntegerField(help_text="seconds")
    concurrency = models.PositiveIntegerField(null=True, help_text="how many runs of its runbook may go on at once")
    parent = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="children")
    correlation_id = models.CharField(max_length=128, blank=True, help_text="of the request that asked for it")
    address = models.CharField(max_length=45, blank=True, help_text="of the network, from which it was asked for")
    reason = models.TextField(blank=True, help_text="why, in the words of whoever confirmed it")
    revision = models.CharField(max_length=64, blank=True, help_text="the git commit of RUNBOOKS_DIR at that time")
    is_dirty = models.BooleanField("differed", null=True, help_text="whether the runbook differed from that commit")

    queued_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    cancelled_at = models.DateTimeField(null=True, help_text="when somebody asked to end it")
    cancelled_by = models.CharField(max_length=255, blank=True)

    return_code = models.IntegerField(null=True)
    killed = models.PositiveIntegerField(default=0, help_text="processes that had to be killed")
    warnings = models.JSONField(default=list, help_text="what went wrong beside the script, such as a read-only file")
    is_pinned = models.BooleanField("pinned", default=False, help_text="kept, however old it gets")
    note = models.TextField(blank=True, help_text="what somebody added afterwards")
    noted_by = models.CharField(max_length=255, blank=True)
    noted_at = models.DateTimeField(null=True)
    is_in_history = models.BooleanField(default=False, help_text="of a refused run: its runbook's History tells of it")

    class Meta:
        ordering = ("-id",)
        indexes = (
            models.Index(fields=("runbook", "-id")),
            models.Index(fields=("actor", "-id")),
            models.Index(fields=("queued_at",)),
            # The list of runs looks through it alone, whatever its filter: in the rows, of which each has its source,
            # to find nothing in 100,000 runs took 95 ms, and 15 in here.
            models.Index(fields=("-id", "runbook", "state", "actor", "queued_at"), name="listed"),
            models.Index(fields=("state", "id")),
            # Runs that wait are looked at by who has asked for them: 10,000 took 9 ms without it, and 0.6 with it.
            models.Index(fields=("state", "parent")),
            # Without it, counting 100,000 runs for /metrics takes 300 ms and not 15.
            models.Index(fields=("runbook", "state")),
            # Looked at under the database's lock by each refused attempt, of which there may be any number.
            models.Index(
                fields=("runbook", "actor", "ended_at"), condition=models.Q(is_in_history=True), name="told_of"
            ),
        )

    def __str__(self) -> str:
        return f"{self.runbook} #{self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("run", args=[self.pk])

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE

    @property
    def folder(self) -> Path:
        """Where the run's log, lock and result are."""
        return runs_folder() / str(self.pk)

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def work(self) -> Path:
        """The working folder of the script."""
        return settings.EXECUTION_DIR / str(self.pk)

    @property
    def script(self) -> Path:
        """The script as a file, beside its working folder: with SCRIPT_USER, nothing in DATA_DIR is open to it."""
        return settings.EXECUTION_DIR / f"{self.pk}.script"

    @property
    def seconds(self) -> float | None:
        """How long the script has run, or ran; None before it starts. A clock may have been set back meanwhile."""
        if not self.started_at:
            return None
        return max(0.0, ((self.ended_at or timezone.now()) - self.started_at).total_seconds())

    def move(self, *allowed: State, **changes: object) -> bool:
        """Change the row if it is still in one of these states; False means somebody else was quicker."""
        if not Run.objects.filter(pk=self.pk, state__in=allowed).update(**changes):
            return False
        for name, value in changes.items():
            setattr(self, name, value)
        return True

    def take(self) -> bool:
        """Take this queued run for one runner, if no more runs of its runbook go on than it allows beside it."""
        queued = Run.objects.filter(pk=self.pk, state=State.QUEUED)
        if self.concurrency:
            # Counted in the update: SQLite lets nobody write between the two. PostgreSQL would; there, a lock for this
            # runbook has to come first in the same transaction (pg_advisory_xact_lock), or two could take one place.
            going = Run.objects.filter(runbook=self.runbook, state=State.RUNNING).order_by()
            queued = queued.filter(~models.Exists(going[self.concurrency - 1 : self.concurrency]))
        started_at = timezone.now()
        if not queued.update(state=State.RUNNING, started_at=started_at):
            return False
        self.state, self.started_at = State.RUNNING, started_at
        return True


class IdempotencyKey(models.Model):
    """What a client called one start of a run, so that it may ask again without starting a second one."""

    actor = models.CharField(max_length=255)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, help_text="a keyed hash of what was asked for")
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("actor", "key"), name="one_run_for_each_key"),)

    def __str__(self) -> str:
        return f"{self.key} of {self.actor}: {self.run}"


class Favourite(models.Model):
    """A runbook that somebody wants at the top of their list."""

    actor = models.CharField(max_length=255)
    runbook = models.CharField(max_length=500, help_text="the file's path below RUNBOOKS_DIR")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("actor", "runbook"), name="one_star_for_each_runbook"),)

    def __str__(self) -> str:
        return f"{self.runbook} of {self.actor}"
