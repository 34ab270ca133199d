"""What every command that runs scripts sees to first, and how it keeps a runner running."""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from runbookweb.database import trouble

logger = logging.getLogger(__name__)


def unready_database(*, migrate: bool = False) -> str | None:
    """Why the database cannot be used, and what to do; None if it can, at the latest after a migration."""
    try:
        if migrate:
            call_command("migrate", verbosity=0)
        executor = MigrationExecutor(connection)
        if not executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return None
    except DatabaseError as problem:
        return f"The database {settings.CONFIGURATION.database} cannot be used. {trouble(problem) or problem}"
    finally:
        connection.close()
    return "The database is not up to date: run `.venv/bin/python manage.py migrate` first, or start with bin/run."


def runner() -> Callable[[], Awaitable[None]]:
    """What runs the runs; this process ends with the reason if it could not start any."""
    # A web process without a runner does without these imports.
    from runbooks.execution import script_user
    from runbooks.execution.runner import run_forever

    if problem := script_user.problem():
        sys.exit(problem)
    return run_forever


async def keep_running(run_forever: Callable[[], Awaitable[None]]) -> None:
    """Run the runner until cancelled; one that fails is started again, so that queued runs do not wait for ever."""
    while True:
        try:
            await run_forever()
        except Exception:
            logger.exception("The runner failed; it starts again in a second.")
        await asyncio.sleep(1)
