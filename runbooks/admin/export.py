"""Runs as a file for auditors, as CSV and as JSON, sent piece by piece: never more than some hundred are in memory.

Left out are the runbooks' sources and what is sealed; the other secrets are `***` in the database already.
"""

import csv
import io
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import QuerySet

from runbooks.models import Run
from runbooks.threads import in_thread

MANY = 500
COLUMNS = (
    *("id", "runbook", "state", "return_code", "actor", "claims", "address", "reason", "values", "timeout"),
    *("queued_at", "started_at", "ended_at", "cancelled_at", "cancelled_by", "killed", "warnings"),
    *("parent_id", "correlation_id", "revision", "is_dirty", "is_pinned", "note", "noted_by", "noted_at"),
)
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what a spreadsheet would calculate, were it the first


class Form(ABC):
    """A kind of file."""

    suffix: str
    content_type: str
    head = tail = b""

    async def pieces(self, runs: QuerySet[Run]) -> AsyncIterator[bytes]:
        """The whole file; the database is asked for the next runs when the last have been sent."""
        # A query for each piece: an open one would keep the write-ahead log growing while a slow client downloads.
        runs, before, is_first = runs.order_by("-pk").values(*COLUMNS), None, True
        yield self.head
        while found := await in_thread(list, (runs if before is None else runs.filter(pk__lt=before))[:MANY]):
            yield self.rows(found, is_first=is_first)
            before, is_first = found[-1]["id"], False
        yield self.tail

    @abstractmethod
    def rows(self, runs: list[dict[str, Any]], *, is_first: bool) -> bytes: ...


class Csv(Form):
    """For spreadsheets: what is not text or a number is JSON in its cell, and nothing is a formula."""

    suffix = "csv"
    content_type = "text/csv; charset=utf-8"
    head = b"\xef\xbb\xbf" + ",".join(COLUMNS).encode() + b"\r\n"  # without its mark, Excel takes UTF-8 for Latin-1

    def rows(self, runs: list[dict[str, Any]], *, is_first: bool) -> bytes:
        text = io.StringIO()
        csv.writer(text).writerows([self._cell(value) for value in run.values()] for run in runs)
        return text.getvalue().encode("utf-8", "replace")

    def _cell(self, value: object) -> object:
        if isinstance(value, dict | list):
            value = _json(value)
        if hasattr(value, "isoformat"):
            return value.isoformat()
        is_formula = isinstance(value, str) and value.startswith(FORMULA)
        return f"'{value}" if is_formula else value


class Json(Form):
    """For programs: a list of objects, one a line."""

    suffix = "json"
    content_type = "application/json"
    head, tail = b"[\n", b"\n]\n"

    def rows(self, runs: list[dict[str, Any]], *, is_first: bool) -> bytes:
        return (("" if is_first else ",\n") + ",\n".join(map(_json, runs))).encode("utf-8", "replace")


def _json(value: dict | Iterable) -> str:
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)


FORMS: dict[str, Form] = {form.suffix: form for form in (Csv(), Json())}
