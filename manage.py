#!/usr/bin/env python
"""Runs Runbookweb's commands; `manage.py help` lists them."""

import os
import sys

from runbookweb.process import keep_from_scripts


def main() -> None:
    keep_from_scripts()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "runbookweb.settings")
    from django.core.management import execute_from_command_line

    from runbookweb.env import BadVariable

    try:
        execute_from_command_line(sys.argv)
    except BadVariable as problem:
        sys.exit(str(problem))


if __name__ == "__main__":
    main()
