"""Past runs for Django's staff: to be read, not to be changed."""

from django.contrib import admin
from django.http import HttpRequest

from runbooks.models import Run


@admin.register(Run)
class RunAdmin(admin.ModelAdmin):
    """Never shows sealed_values, and never offers a change: what ran, ran."""

    list_display = ("id", "runbook", "state", "actor", "started_at", "ended_at", "return_code")
    list_filter = ("state", "is_pinned", "queued_at")
    search_fields = ("runbook", "actor")
    ordering = ("-id",)
    list_per_page = 50
    show_full_result_count = False
    fields = (
        *("runbook", "state", "actor", "claims", "values", "timeout", "parent", "correlation_id"),
        *("queued_at", "started_at", "ended_at", "cancelled_at", "cancelled_by"),
        *("return_code", "killed", "warnings", "is_pinned", "source"),
    )
    readonly_fields = fields

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Only what the filters of the list make: of other lookups, some fail and some take for ever."""
        field, _, rest = lookup.partition("__")
        return field in self.list_filter and rest in ("", "exact", "gte", "lt", "isnull")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Run | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Run | None = None) -> bool:
        return False
