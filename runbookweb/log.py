"""The application's log: one JSON object a line, and what is left out of it."""

import json
import logging
from datetime import UTC, datetime

from runbookweb import correlation, database

# What a message may say of a run with `extra`, beside its text.
FIELDS = ("run_id", "runbook", "actor", "state", "return_code", "seconds", "ended_at")


class JsonLines(logging.Formatter):
    """Each record is one line, whatever a client or a traceback has put into it."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        # A run's end belongs to the request that asked for the run, whoever tells of it.
        if correlation_id := getattr(record, "correlation_id", correlation.current()):
            line["correlation_id"] = correlation_id
        line |= {field: getattr(record, field) for field in FIELDS if hasattr(record, field)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)

    def formatException(self, exc_info: tuple) -> str:
        problem = exc_info[1]
        # No fault of the code, and met again by each request and each sweep meanwhile: one line says it all.
        return (
            f"{type(problem).__name__}: {problem}" if database.trouble(problem) else super().formatException(exc_info)
        )


def without_clients_tracebacks(record: logging.LogRecord) -> bool:
    """Let every record pass, but what a client did wrong as its one line: anybody can cause it, at any rate."""
    if record.name.startswith("django.security."):
        record.exc_info = record.exc_text = None
    return True
