"""The API's description in OpenAPI 3.1: what ninja knows of its routes, and here what consumers and plain views answer.

A test compares it with all addresses that there are, and another asks each of them and compares the answers.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import yaml
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from runbooks.api import schemas
from runbooks.api.consumers import LONGEST_WAIT
from runbooks.api.routes import BIGINT, api

JSON, EVENTS, LINES = "application/json", "text/event-stream", "application/x-ndjson"
TEXT, YAML, HTML = "text/plain", "application/yaml", "text/html"
Schema = type[BaseModel] | tuple[type[BaseModel], ...] | None  # None is text
TAGS = {"Runbooks": "/api/runbooks", "Runs": "/api/runs", "Server": "/"}
STREAM = {EVENTS: schemas.Event, LINES: schemas.Line}


def parameter(name: str, place: str, description: str, **schema: Any) -> dict[str, Any]:
    return {
        "name": name,
        "in": place,
        "description": description,
        "required": place == "path",
        "schema": {"type": "string", **schema},
    }


def offset(name: str, place: str) -> dict[str, Any]:
    """An offset of a run's log; as text, for only those that the server has given are any."""
    return parameter(
        name, place, "an offset that you were given: what came before it is left out", pattern=r"^\d{1,15}$"
    )


RUNBOOK = parameter("rb", "path", "the path below RUNBOOKS_DIR; .md may be left out", examples=["Hello.md"])
RUN = parameter("run_id", "path", "the run", type="integer", minimum=1, maximum=BIGINT)


@dataclass(frozen=True)
class Operation:
    """An address that ninja does not know, and what it may answer: by status, and by type of content."""

    path: str
    name: str
    summary: str
    answers: Mapping[int, Mapping[str, Schema]]
    method: str = "get"
    failures: tuple[int, ...] = ()
    parameters: tuple[dict[str, Any], ...] = ()
    body: type[BaseModel] | None = None
    is_open: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def models(self) -> list[type[BaseModel]]:
        answered = [schema for types in self.answers.values() for schema in types.values()]
        return [model for schema in (*answered, self.body, schemas.Failure) for model in _models(schema)]

    def described(self) -> dict[str, Any]:
        failures = {status: {JSON: schemas.Failure} for status in self.failures}
        body = {"requestBody": {"required": False, "content": _content({JSON: self.body})}} if self.body else {}
        return {
            "operationId": self.name,
            "summary": self.summary,
            "parameters": list(self.parameters),
            **body,
            "responses": {
                str(status): {"description": MEANINGS[status], "content": _content(types)}
                for status, types in sorted((dict(self.answers) | failures).items())
            },
            "security": [] if self.is_open else [{"Bearer": []}],
            **self.more,
        }


MEANINGS = {
    101: "The socket is open: each object of the NDJSON form is a message",
    200: "As asked",
    202: "The run waits or goes on; Location says where to ask for it",
    400: "What was sent cannot be used",
    401: "No token, or one that is not accepted",
    403: "The runbook requires claims that the token has not",
    404: "There is no such thing, or not for this token",
    409: "Not as things are: a runbook with errors, an unconfirmed start, a loop of runbooks",
    413: "The body is too large",
    415: "The body is not JSON",
    422: "The Idempotency-Key has started something else already",
    426: "It was not asked for as a WebSocket",
    503: "Not now: the server ends, is not ready, or its disk, its database or the keys of tokens cannot be had",
}
OPERATIONS = (
    Operation(
        method="post",
        path="/api/runbooks/{rb}/execute",
        name="execute",
        summary="Run a runbook, and wait for it; a client that leaves changes nothing",
        parameters=(
            RUNBOOK,
            parameter("stream", "query", "true: as Server-Sent Events, unless lines are accepted"),
            parameter("Prefer", "header", "respond-async: answer 202 at once"),
            parameter("Idempotency-Key", "header", "starts one run only, for 24 h", pattern="^[ -~]{1,255}$"),
            parameter("X-Recursion-Stack", "header", "a JSON list of the runbooks within which this one runs"),
        ),
        body=schemas.ExecuteBody,
        answers={200: {JSON: schemas.RunWithOutput, **STREAM}, 202: {JSON: schemas.Run}},
        failures=(400, 401, 403, 404, 409, 413, 415, 422, 503),
    ),
    Operation(
        path="/api/runs/{run_id}",
        name="read_run",
        summary="A run as it stands; with `after` with what it has printed since",
        parameters=(
            RUN,
            offset("after", "query"),
            parameter(
                "wait", "query", "seconds to wait for news or the end", type="integer", minimum=0, maximum=LONGEST_WAIT
            ),
        ),
        answers={200: {JSON: (schemas.RunWithOutput, schemas.Run)}},
        failures=(400, 401, 404, 503),
    ),
    Operation(
        path="/api/runs/{run_id}/events",
        name="follow_run",
        summary="What a run prints, as it comes: events stdout, stderr, and at the end done",
        parameters=(RUN, offset("after", "query"), offset("Last-Event-ID", "header")),
        answers={200: STREAM},
        failures=(400, 401, 404, 503),
    ),
    Operation(
        path="/api/runs/{run_id}/socket",
        name="open_socket",
        summary="The same over a WebSocket; a failure is a message, and the close code 4000 plus its status",
        parameters=(RUN, offset("after", "query")),
        answers={101: {}},
        failures=(400, 404, 426),
    ),
    Operation(
        path="/api/runs/{run_id}/log",
        name="download_log",
        summary="The whole log as text",
        parameters=(RUN,),
        answers={200: {TEXT: None}},
        failures=(400, 401, 404, 503),
    ),
    Operation(
        method="post",
        path="/dev-login",
        name="dev_login",
        summary="A token for whoever one says to be; only where the development sign-in is on",
        body=schemas.SignIn,
        answers={200: {JSON: schemas.SignedIn}},
        failures=(400, 404, 413, 415),
        is_open=True,
    ),
    Operation("/healthz", "healthz", "Whether the server answers", {200: {TEXT: None}}, is_open=True),
    Operation(
        path="/readyz",
        name="readyz",
        summary="Whether the server could take a run",
        answers={200: {JSON: schemas.Readiness}, 503: {JSON: schemas.Readiness}},
        is_open=True,
    ),
    Operation("/metrics", "metrics", "What is counted, for Prometheus", {200: {TEXT: None}}, is_open=True),
    Operation("/docs/openapi.yaml", "openapi", "This description", {200: {YAML: None}}, is_open=True),
    Operation("/docs/explorer.html", "explorer", "This description as a page", {200: {HTML: None}}, is_open=True),
)


@cache
def document() -> dict[str, Any]:
    """The whole description, of plain values."""
    described = api.get_openapi_schema(path_prefix="")
    described["servers"] = [{"url": "/"}]
    described["tags"] = [{"name": tag} for tag in TAGS]
    for operation in OPERATIONS:
        described["paths"].setdefault(operation.path, {})[operation.method] = operation.described()
    for path, methods in described["paths"].items():
        for operation in methods.values():
            _arrange(operation, path)
    models = dict.fromkeys((model, "validation") for operation in OPERATIONS for model in operation.models)
    _, definitions = models_json_schema(list(models), ref_template=schemas.REF)
    described["components"]["schemas"].update(definitions["$defs"])
    return json.loads(json.dumps(described))


@cache
def _text() -> str:
    return yaml.safe_dump(document(), sort_keys=False, allow_unicode=True, width=120)


@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    return HttpResponse(_text(), content_type=f"{YAML}; charset=utf-8")


@csrf_exempt  # so that another method is told which there are
@require_safe
def explorer(request: HttpRequest) -> HttpResponse:
    return render(request, "api/explorer.html")


def _arrange(operation: dict[str, Any], path: str) -> None:
    """Put the operation among its like; what ninja takes from a function's docstring is its summary."""
    operation["tags"] = [next(tag for tag, beginning in TAGS.items() if path.startswith(beginning))]
    if sentence := operation.pop("description", ""):
        operation["summary"] = sentence.rstrip(".")


def _models(schema: Schema) -> tuple[type[BaseModel], ...]:
    return schema if isinstance(schema, tuple) else (schema,) if schema else ()


def _content(types: Mapping[str, Schema]) -> dict[str, Any]:
    return {kind: {"schema": _schema(schema)} for kind, schema in types.items()}


def _schema(schema: Schema) -> dict[str, Any]:
    references = [{"$ref": schemas.REF.format(model=model.__name__)} for model in _models(schema)]
    if not references:
        return {"type": "string"}
    return references[0] if len(references) == 1 else {"anyOf": references}
