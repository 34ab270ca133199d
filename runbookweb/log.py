"""What the application's log leaves out."""

import logging


def without_clients_tracebacks(record: logging.LogRecord) -> bool:
    """Let every record pass, but what a client did wrong as its one line: anybody can cause it, at any rate."""
    if record.name.startswith("django.security."):
        record.exc_info = record.exc_text = None
    return True
