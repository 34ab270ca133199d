"""Fixtures for the pages' tests: runs as they are once a script has ended."""

from collections.abc import Callable

import pytest

from runbooks.models import Run


@pytest.fixture
def a_run(db) -> Callable[..., Run]:
    def create(path: str = "restart.md", **fields: object) -> Run:
        return Run.objects.create(
            **{"runbook": path, "actor": "alice", "timeout": 600, "source": "# restart", **fields}
        )

    return create
