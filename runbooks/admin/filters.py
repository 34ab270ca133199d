"""The filters of the review that list what there is: the runbooks and the people with the most runs."""

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest

from runbooks.models import Run
from runbooks.templatetags.show import runbook_name

MOST = 20  # of thousands, nobody reads the list: the search finds the others


class MostFilter(admin.SimpleListFilter):
    """A choice of those values of one column that most runs have, and of the one that was chosen."""

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        counted = Run.objects.order_by().values(self.parameter_name).annotate(runs=Count("pk")).order_by("-runs")
        values = [row[self.parameter_name] for row in counted[:MOST]]
        if (chosen := self.value()) and chosen not in values:
            values.append(chosen)
        return [(value, self.label(value)) for value in sorted(values)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Run]) -> QuerySet[Run]:
        return queryset.filter(**{self.parameter_name: self.value()}) if self.value() else queryset

    def label(self, value: str) -> str:
        return value


class RunbookFilter(MostFilter):
    title = "runbook"
    parameter_name = "runbook"

    def label(self, value: str) -> str:
        return runbook_name(value)


class PersonFilter(MostFilter):
    title = "person"
    parameter_name = "actor"
