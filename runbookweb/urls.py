"""Every address that Django answers; streams, sockets and log downloads are in runbookweb.asgi."""

from django.contrib import admin
from django.urls import path

from runbooks.api import description, dev_login, routes
from runbooks.web import (
    active_runs,
    check,
    compare,
    configuration,
    difference,
    doctor,
    errors,
    favourites,
    frame,
    log_search,
    log_views,
    notes,
    observe,
    run_list,
    run_page,
    runbook_list,
    runbook_page,
    sign_in,
    single_sign_on,
    start,
    usage,
)

urlpatterns = [
    path("", frame.home, name="home"),
    path("runbooks/", runbook_list.runbooks, name="runbooks"),
    path("runbooks/<path:path>/runs/", start.start, name="start"),
    path("runbooks/<path:path>/check/", check.check, name="check"),
    path("runbooks/<path:path>/favourite/", favourites.favourite, name="favourite"),
    path("runbooks/<path:path>/", runbook_page.runbook, name="runbook"),
    path("runs/", run_list.runs, name="runs"),
    path("runs/active/", active_runs.active, name="active-runs"),
    path("runs/compare/", compare.compare, name="compare"),
    path("runs/<int:pk>/", run_page.run, name="run"),
    path("runs/<int:pk>/lines/", log_views.lines, name="lines"),
    path("runs/<int:pk>/search/", log_search.hits, name="search"),
    path("runs/<int:pk>/cancellation/", run_page.cancellation, name="cancellation"),
    path("runs/<int:pk>/pin/", run_page.pin, name="pin"),
    path("runs/<int:pk>/state/", run_page.state, name="state"),
    path("runs/<int:pk>/note/", notes.note, name="note"),
    path("runs/<int:pk>/difference/", difference.difference, name="difference"),
    path("usage/", usage.usage, name="usage"),
    path("configuration/", configuration.configuration, name="configuration"),
    path("doctor/", doctor.doctor, name="doctor"),
    path("login/", sign_in.login, name="login"),
    path("auth/login", sign_in.elsewhere, name="auth-login"),
    path("oidc/start/", single_sign_on.start, name="single-sign-on"),
    path("oidc/callback/", single_sign_on.callback, name="single-sign-on-callback"),
    path("logout/", sign_in.logout, name="logout"),
    path("dev-login", dev_login.dev_login, name="dev-login"),
    path("admin/", admin.site.urls),
    path("healthz", observe.healthz, name="healthz"),
    path("readyz", observe.readyz, name="readyz"),
    path("metrics", observe.metrics, name="metrics"),
    path("docs/openapi.yaml", description.openapi, name="openapi"),
    path("docs/explorer.html", description.explorer, name="explorer"),
    path("", routes.api.urls),
]

handler400 = errors.bad_request
handler403 = errors.permission_denied
handler404 = errors.not_found
handler500 = errors.server_error
