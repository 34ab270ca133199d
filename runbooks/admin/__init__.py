"""What Django's staff may look at beside the accounts: past runs, to be read and taken along, not to be changed."""

from django.contrib import admin

from runbooks.admin.runs import RunAdmin
from runbooks.models import Run

admin.site.register(Run, RunAdmin)
