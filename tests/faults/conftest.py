"""What the tests of faults share with those of the engine: real runs, real supervisors, a real database."""

from tests.execution.conftest import a_run, begin, database, finish, mark, supervise
from tests.faults.users import another_user, python, script_user

__all__ = ("a_run", "another_user", "begin", "database", "finish", "mark", "python", "script_user", "supervise")
