"""The addresses of the JSON API that answer at once; those that stream, or wait for a run, are consumers."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI, Query
from ninja.operation import Operation
from ninja.security.base import AuthBase
from pydantic import BaseModel, Field

from runbooks import library
from runbooks.access import identify, rules
from runbooks.access.tokens import Token
from runbooks.api import schemas
from runbooks.api.as_json import run_json
from runbooks.api.bodies import read_body
from runbooks.api.errors import ApiError, failure_of, misfit_values, unusable
from runbooks.api.gate import failed
from runbooks.document.validate import stray_warnings
from runbooks.document.values import MOST_STRAYS
from runbooks.execution import control, environment
from runbooks.library import LibraryRunbook
from runbooks.models import Run, State
from runbookweb import configured, drain

ADMIN = {"roles": ("admin",)}
MOST_RUNS = 500
BIGINT = 2**63 - 1
DESCRIPTION = (
    "Read runbooks, check values, run them, follow and end runs. Each failure is an object with `success: false` and a "
    "sentence in `error`. A GET may be asked with HEAD, too, except where a run is streamed or waited for."
)
STATES = ("", *State.values)


class Api(NinjaAPI):
    """Ninja, but for its failures: they look as all of the API's do."""

    def on_exception(self, request: HttpRequest, exc: Exception) -> HttpResponse:
        return failed(failure_of(exc))

    def get_content_type(self) -> str:
        return self.renderer.media_type  # JSON is UTF-8, and has no parameter that would say so

    def get_openapi_operation_id(self, operation: Operation) -> str:
        return operation.view_func.__name__


class Bearer(AuthBase):
    """Who asks, by a bearer token; a browser's session may read, and needs a token for anything else."""

    openapi_type = "http"
    openapi_scheme = "bearer"
    openapi_bearerFormat = "JWT"

    def __call__(self, request: HttpRequest) -> Token:
        session = identify.session_of(request.headers.get("Cookie", "")) if request.method == "GET" else None
        return identify.asker(request.headers.get("Authorization", ""), session)


api = Api(
    title="Runbookweb", description=DESCRIPTION, openapi_url=None, docs_url=None, urls_namespace="api", auth=Bearer()
)


def responses(schema: type[BaseModel], *failures: int) -> dict[int, type[BaseModel]]:
    """What an address that needs a token may answer."""
    return {200: schema, **dict.fromkeys((400, 401, *failures, 503), schemas.Failure)}


@api.get("/api/runbooks", response=responses(schemas.RunbookList), url_name="runbooks")
def list_runbooks(request: HttpRequest) -> dict[str, Any]:
    """All runbooks, sorted by filename."""
    return {"success": True, "runbooks": [_named(runbook) for runbook in library.runbooks()]}


@api.get("/api/runbooks/{path:rb}/required-env", response=responses(schemas.RequiredEnv, 404), url_name="required-env")
def required_env(request: HttpRequest, rb: str) -> dict[str, Any]:
    """The variables that a runbook needs, and which of them have to be sent."""
    runbook = library.runbook_for(request.auth.actor, rb)
    provided = environment.provided_values()
    needed = {"required": [], "available": [], "missing": []}
    for requirement in runbook.runbook.requirements:
        if requirement.required:
            is_there = requirement.default or requirement.name in provided
            for key in ("required", "available" if is_there else "missing"):
                needed[key].append({"name": requirement.name, "description": requirement.description})
    return {"success": True, "filename": runbook.path, **needed}


@api.patch(
    "/api/runbooks/{path:rb}/validate",
    response=responses(schemas.Validated, 404, 413, 415),
    openapi_extra=schemas.as_request_body(schemas.ValidateBody),
    url_name="validate",
)
def validate(request: HttpRequest, rb: str) -> dict[str, Any]:
    """Whether a runbook would run with these values; nothing is started."""
    runbook = library.runbook_for(request.auth.actor, rb)
    values = read_body(request.headers.get("Content-Type", ""), request.body, schemas.ValidateBody).env_vars
    found = {"runbook": runbook.path, "warnings": _warnings(runbook, values)}
    if errors := [*map(str, runbook.errors), *misfit_values(control.misfits(runbook, values))]:
        raise unusable("The runbook cannot run with these values", errors, **found)
    return {"success": True, "errors": [], **found}


@api.get("/api/runbooks/{path:rb}", response=responses(schemas.RunbookContent, 404), url_name="runbook")
def read_runbook(request: HttpRequest, rb: str) -> dict[str, Any]:
    """What a runbook's file says."""
    runbook = library.runbook_for(request.auth.actor, rb)
    sees_history = rules.sees_runs(request.auth.actor, runbook.runbook)
    content = runbook.source.decode("utf-8", "replace") if sees_history else runbook.runbook.documentation
    return {"success": True, "filename": runbook.path, "name": runbook.runbook.name, "content": content}


class RunFilter(BaseModel):
    """Which runs to list."""

    runbook: str = Field("", max_length=500, pattern=schemas.NO_NUL, description="its filename")
    state: Literal[STATES] = Field("", description="empty for any")
    status: Literal[STATES] = Field("", description="the same as state")
    actor: str = Field("", max_length=255, pattern=schemas.NO_NUL)
    parent: int = Field(0, ge=0, le=BIGINT, description="the run whose script asked for them; 0 for any")
    before: int = Field(BIGINT, ge=1, le=BIGINT, description="a run's id: only runs that are older")
    limit: int = Field(50, ge=1, le=MOST_RUNS)


@api.get("/api/runs", response=responses(schemas.RunList), url_name="runs")
def list_runs(request: HttpRequest, wanted: Annotated[RunFilter, Query()]) -> dict[str, Any]:
    """The runs that one may see, newest first."""
    found = list(_runs(library.visible_runs(request.auth.actor), wanted)[: wanted.limit + 1])
    runs = [run_json(run) for run in found[: wanted.limit]]
    return {"success": True, "runs": runs, "next": runs[-1]["run_id"] if len(found) > wanted.limit else None}


@api.post("/api/runs/{int:run_id}/cancel", response=responses(schemas.Run, 404), url_name="cancel")
def cancel(request: HttpRequest, run_id: int) -> dict[str, Any]:
    """End a run; one that has ended stays as it is, and is answered as well."""
    actor = request.auth.actor
    control.cancel_run(actor, library.run_for(actor, run_id))
    return run_json(library.run_for(actor, run_id))


@api.post(
    "/api/runs/{int:run_id}/pin",
    response=responses(schemas.Run, 404, 413, 415),
    openapi_extra=schemas.as_request_body(schemas.PinBody),
    url_name="pin",
)
def pin(request: HttpRequest, run_id: int) -> dict[str, Any]:
    """Keep a run, however old it gets; or with false let it go with the others."""
    run = library.run_for(request.auth.actor, run_id)
    wanted = read_body(request.headers.get("Content-Type", ""), request.body, schemas.PinBody)
    control.pin_run(run, is_pinned=wanted.pinned)
    return run_json(library.run_for(request.auth.actor, run_id))


@api.get("/api/runs/{int:run_id}/socket", auth=None, include_in_schema=False, url_name="socket")
def no_socket(request: HttpRequest, run_id: int) -> None:
    """What is asked for without an upgrade; the socket itself is a consumer."""
    headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
    raise ApiError(426, "This address is a WebSocket: ask for it with ws:// or wss://.", headers=headers)


@api.get("/api/config", response=responses(schemas.Config), by_alias=True, url_name="config")
def config(request: HttpRequest) -> dict[str, Any]:
    """How the server is configured, without secrets, and who one is."""
    actor = request.auth.actor
    claims = {claim: list(values) for claim, values in actor.claims.items()}
    items = [
        {"name": item.variable.name, "value": item.value, "from": item.source}
        for item in configured.items(settings.CONFIGURATION)
    ]
    token = {"user_id": actor.id, "roles": claims.get("roles", []), "remote_ip": request.META.get("REMOTE_ADDR", "")}
    return {"config_items": items, "token": {**token, "claims": claims}}


@api.post("/api/shutdown", response=responses(schemas.Shutdown, 403), url_name="shutdown")
def shutdown(request: HttpRequest) -> dict[str, Any]:
    """Start no more runs, and end the server once it has answered; scripts go on. Needs the role admin."""
    if rules.missing_claims(request.auth.actor, ADMIN):
        raise rules.Refused(request.auth.actor, ADMIN)
    drain.begin()
    return {"success": True, "message": "The server starts no more runs, and ends. Scripts go on."}


def _named(runbook: LibraryRunbook) -> dict[str, str]:
    return {"filename": runbook.path, "name": runbook.runbook.name, "path": runbook.path}


def _warnings(runbook: LibraryRunbook, values: Mapping[str, str]) -> list[str]:
    of_file = [str(problem) for problem in runbook.problems if problem.severity == "warning"]
    # More of them than a start would take are an error already.
    return of_file + stray_warnings(runbook.runbook, values)[:MOST_STRAYS]


def _runs(runs: QuerySet[Run], wanted: RunFilter) -> QuerySet[Run]:
    filters = {
        "runbook__in": [wanted.runbook, f"{wanted.runbook}.md"] if wanted.runbook else None,
        "state": wanted.state or wanted.status,
        "actor": wanted.actor,
        "parent": wanted.parent,
        "pk__lt": wanted.before,
    }
    return library.without_bulk(runs.filter(**{lookup: value for lookup, value in filters.items() if value}))
