"""The Django application: what it changes of Django for the whole program."""

from django.apps import AppConfig
from django.core.exceptions import FieldError
from django.db.models import Field, Lookup


class RunbooksConfig(AppConfig):
    name = "runbooks"

    def ready(self) -> None:
        # The pages below /admin/ take any lookup from the address, and SQLite matches patterns with Python's `re`: one
        # that takes for ever would stop the whole process.
        for name in ("regex", "iregex"):
            Field.register_lookup(NoPattern, lookup_name=name)


class NoPattern(Lookup):
    """Takes the place of lookups by a regular expression, which nothing here needs."""

    def __init__(self, *operands: object):
        raise FieldError("Lookups by a regular expression are switched off.")
