"""`manage.py serve`: the web server, with the runner inside it."""

import contextlib
import errno
import gc
import logging
import sys
from argparse import ArgumentParser
from typing import Any

from channels.routing import get_default_application
from daphne.endpoints import build_endpoint_description_strings
from django.conf import settings
from django.core.management.base import BaseCommand

from runbooks.management.ready import keep_running, runner, unready_database
from runbookweb.server import Server

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Serves the pages and the API, and runs what is asked for, until it is stopped by a signal."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-runner", action="store_true", help="leave running to `manage.py runner`")
        parser.add_argument("--migrate", action="store_true", help="bring the database up to date first")

    def handle(self, *, no_runner: bool, migrate: bool, **options: Any) -> None:
        if problem := unready_database(migrate=migrate):
            sys.exit(problem)
        run_forever = None if no_runner else runner()
        address, port = settings.CONFIGURATION.BIND_ADDRESS, settings.CONFIGURATION.API_PORT

        async def alongside() -> None:
            with contextlib.suppress(OSError):  # the disk that it goes to is full
                self.stdout.write(f"Runbookweb is ready at {url(address, port)}")
                self.stdout.flush()
            # What is there now stays: without looking through it again and again, nobody waits a tenth of a second.
            gc.collect()
            gc.freeze()
            if run_forever:
                await keep_running(run_forever)

        server = Server(
            application=get_default_application(),
            # By default the kernel drops what comes while 50 others wait: each of 500 pages that return at once.
            endpoints=[f"{each}:backlog=1024" for each in build_endpoint_description_strings(host=address, port=port)],
            action_logger=log_request,
            alongside=alongside,
            server_name="",
        )
        server.run()
        if server.listen_problem:
            sys.exit(reason(server.listen_problem, address=address, port=port))


def url(address: str, port: int) -> str:
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def reason(problem: Exception, *, address: str, port: int) -> str:
    """Why the server cannot listen, and what to do."""
    cause = getattr(problem, "socketError", problem)
    match getattr(cause, "errno", None):
        case errno.EADDRINUSE:
            return f"Port {port} on {address} is in use; set API_PORT to a free one."
        case errno.EACCES:
            return f"Port {port} on {address} is not open to this user; set API_PORT to one above 1023."
        case errno.EADDRNOTAVAIL:
            return f"This machine has no address {address}; set BIND_ADDRESS to one of its own."
    return f"Cannot listen on port {port} of {address}: {cause}."


def log_request(protocol: object, action: str, details: dict[str, Any]) -> None:
    """One line for each answered request, without its query, which may carry a token."""
    if action == "complete":
        path = details["path"].partition("?")[0]
        logger.debug("%s %s %s, %.3f s", details["method"], path, details["status"], details["time_taken"])
