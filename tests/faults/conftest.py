"""What the tests of faults share with those of the engine: real runs, real supervisors, a real database."""

from tests.execution.conftest import a_run, begin, database, finish, mark, supervise

__all__ = ("a_run", "begin", "database", "finish", "mark", "supervise")
