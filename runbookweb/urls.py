"""Every address that Django answers; streams, sockets and log downloads are in runbookweb.asgi."""

from django.contrib import admin
from django.urls import path

from runbooks.api import description, dev_login, routes
from runbooks.web import errors, observe, pages, sign_in, single_sign_on

urlpatterns = [
    path("", pages.home, name="home"),
    path("runbooks/", pages.runbooks, name="runbooks"),
    path("runbooks/<path:path>/runs/", pages.start, name="start"),
    path("runbooks/<path:path>/", pages.runbook, name="runbook"),
    path("runs/", pages.runs, name="runs"),
    path("runs/<int:pk>/", pages.run, name="run"),
    path("runs/<int:pk>/cancellation/", pages.cancellation, name="cancellation"),
    path("runs/<int:pk>/pin/", pages.pin, name="pin"),
    path("configuration/", pages.configuration, name="configuration"),
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
