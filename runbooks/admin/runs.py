"""The review of runs: a list with filters, one run with all that is known of it, and the export of what is listed."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ERROR_FLAG, ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from runbooks.admin import export
from runbooks.admin.filters import PersonFilter, RunbookFilter
from runbooks.models import Run
from runbooks.templatetags import show
from runbooks.templatetags.review import PARTS

LISTED = ("runbook", "state", "actor", "queued_at", "started_at", "ended_at", "return_code", "is_pinned")
FILTERED = ("state", "is_pinned", "runbook", "actor", "queued_at")


class RunList(ChangeList):
    """The list, with those addresses refused that are beyond all calendars."""

    def get_filters(self, request: HttpRequest) -> tuple:
        try:
            return super().get_filters(request)
        except (OverflowError, ValueError) as problem:
            raise IncorrectLookupParameters from problem


class RunAdmin(admin.ModelAdmin):
    """Never shows sealed_values, and never offers a change: what ran, ran."""

    list_display = ("number", "runbook", "badge", "actor", "requested", "took", "return_code", "pinned")
    list_display_links = ("number", "runbook")
    list_filter = ("state", "is_pinned", RunbookFilter, PersonFilter, "queued_at")
    date_hierarchy = "queued_at"
    search_fields = ("runbook", "actor")
    ordering = ("-id",)
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # each is a count over all runs
    actions = None
    view_on_site = False  # its page is linked as it is; Django's way there asks the database once more
    fieldsets = (
        (None, {"fields": ("runbook", "state", "return_code", "actor", "claims", "address", "reason", "values")}),
        ("When", {"fields": ("requested", "started", "ended", "timeout", "cancelled", "cancelled_by")}),
        ("Where it belongs", {"fields": ("parent", "correlation_id", "revision", "is_dirty")}),
        ("What remains", {"fields": ("killed", "warnings", "is_pinned", "note", "noted_by", "noted", "source")}),
    )
    readonly_fields = tuple(name for _, options in fieldsets for name in options["fields"])

    @admin.display(description="Run", ordering="pk")
    def number(self, run: Run) -> str:
        return f"#{run.pk}"

    @admin.display(description="State", ordering="state")
    def badge(self, run: Run) -> SafeString:
        return mark_safe(render_to_string("_badge.html", {"run": run}))  # noqa: S308 - a template

    @admin.display(description="Requested", ordering="queued_at")
    def requested(self, run: Run) -> SafeString | str:
        return show.moment(run.queued_at)

    @admin.display(description="Started")
    def started(self, run: Run) -> SafeString | str:
        return show.moment(run.started_at)

    @admin.display(description="Ended")
    def ended(self, run: Run) -> SafeString | str:
        return show.moment(run.ended_at)

    @admin.display(description="Cancelled")
    def cancelled(self, run: Run) -> SafeString | str:
        return show.moment(run.cancelled_at)

    @admin.display(description="Noted")
    def noted(self, run: Run) -> SafeString | str:
        return show.moment(run.noted_at)

    @admin.display(description="Took")
    def took(self, run: Run) -> str:
        return show.duration(run.seconds)

    @admin.display(description="Pinned")
    def pinned(self, run: Run) -> str:
        return "pinned" if run.is_pinned else ""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"title": "Runs", **(extra_context or {})})

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        runs = super().get_queryset(request)
        # A list needs none of the columns that may be large; one run is fetched with all of them.
        return runs if request.resolver_match.kwargs.get("object_id") else runs.only(*LISTED)

    def get_changelist(self, request: HttpRequest, **kwargs: object) -> type[ChangeList]:
        return RunList

    def get_urls(self) -> list[URLPattern]:
        pages = [
            path(f"export.{form}", self.admin_site.admin_view(self.export), {"form": form}, name=f"runs-{form}")
            for form in export.FORMS
        ]
        return [*pages, *super().get_urls()]

    def export(self, request: HttpRequest, form: str) -> HttpResponse:
        """What the list shows under these filters, all pages of it, newest first."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            listed = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            return HttpResponseRedirect(f"{request.path.rpartition('/')[0]}/?{ERROR_FLAG}=1")
        form = export.FORMS[form]
        name = f"runs-{timezone.localdate():%Y-%m-%d}.{form.suffix}"
        # Compressed on its way, each piece would be a file of its own, of which browsers read the first.
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Content-Encoding": "identity"}
        return StreamingHttpResponse(form.pieces(listed), content_type=form.content_type, headers=headers)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Only what the filters of the list make: of other lookups, some fail and some take for ever."""
        field, _, rest = lookup.partition("__")
        if lookup in PARTS:
            return PARTS[0] in request.GET  # a month of any year would be looked for in each run
        return field in FILTERED and rest in ("", "exact", "gte", "lt", "isnull")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Run | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Run | None = None) -> bool:
        return False
