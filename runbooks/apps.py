"""The Django application; it has nothing to set up."""

from django.apps import AppConfig


class RunbooksConfig(AppConfig):
    name = "runbooks"
