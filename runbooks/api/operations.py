"""What the API's addresses that ninja does not know may be asked, and what they answer: consumers and plain views."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from runbooks.api import schemas
from runbooks.api.consumers import LONGEST_WAIT
from runbooks.api.routes import BIGINT

JSON, EVENTS, LINES = "application/json", "text/event-stream", "application/x-ndjson"
TEXT, YAML, HTML = "text/plain", "application/yaml", "text/html"
Schema = type[BaseModel] | tuple[type[BaseModel], ...] | None  # None is text
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
    contents: Mapping[int, Mapping[str, Schema]]
    method: str = "get"
    failures: tuple[int, ...] = ()
    parameters: tuple[dict[str, Any], ...] = ()
    body: type[BaseModel] | None = None
    is_open: bool = False

    @property
    def models(self) -> list[type[BaseModel]]:
        answered = [schema for types in self.contents.values() for schema in types.values()]
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
                str(status): {"content": _content(types)}
                for status, types in sorted((dict(self.contents) | failures).items())
            },
            "security": [] if self.is_open else [{"Bearer": []}],
        }


def _models(schema: Schema) -> tuple[type[BaseModel], ...]:
    return schema if isinstance(schema, tuple) else (schema,) if schema else ()


def _content(types: Mapping[str, Schema]) -> dict[str, Any]:
    return {kind: {"schema": _schema(schema)} for kind, schema in types.items()}


def _schema(schema: Schema) -> dict[str, Any]:
    references = [{"$ref": schemas.REF.format(model=model.__name__)} for model in _models(schema)]
    if not references:
        return {"type": "string"}
    return references[0] if len(references) == 1 else {"anyOf": references}


MEANINGS = {
    101: "The socket is open: each object of the NDJSON form is a message",
    200: "As asked",
    202: "The run waits or goes on; Location says where to ask for it",
    400: "What was sent cannot be used",
    401: "No token, or one that is not accepted",
    403: "A claim is missing, which the runbook requires or the address",
    404: "There is no such thing, or not for this token",
    409: "Not as things are: a runbook with errors, an unconfirmed start, a loop, a run that waits for its caller",
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
        contents={200: {JSON: schemas.RunWithOutput, **STREAM}, 202: {JSON: schemas.Run}},
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
        contents={200: {JSON: (schemas.RunWithOutput, schemas.Run)}},
        failures=(400, 401, 404, 503),
    ),
    Operation(
        path="/api/runs/{run_id}/events",
        name="follow_run",
        summary="What a run prints, as it comes: events stdout, stderr, and at the end done",
        parameters=(RUN, offset("after", "query"), offset("Last-Event-ID", "header")),
        contents={200: STREAM},
        failures=(400, 401, 404, 503),
    ),
    Operation(
        path="/api/runs/{run_id}/socket",
        name="open_socket",
        summary="The same over a WebSocket; a failure is a message, and the close code 4000 plus its status",
        parameters=(RUN, offset("after", "query")),
        contents={101: {}},
        failures=(400, 404, 426),
    ),
    Operation(
        path="/api/runs/{run_id}/log",
        name="download_log",
        summary="The whole log as text",
        parameters=(RUN,),
        contents={200: {TEXT: None}},
        failures=(400, 401, 404, 503),
    ),
    Operation(
        method="post",
        path="/dev-login",
        name="dev_login",
        summary="A token for whoever one says to be; only where the development sign-in is on",
        body=schemas.SignIn,
        contents={200: {JSON: schemas.SignedIn}},
        failures=(400, 404, 413, 415),
        is_open=True,
    ),
    Operation(
        path="/healthz",
        name="healthz",
        summary="Whether the server answers",
        contents={200: {TEXT: None}},
        failures=(400,),
        is_open=True,
    ),
    Operation(
        path="/readyz",
        name="readyz",
        summary="Whether the server could take a run",
        contents={200: {JSON: schemas.Readiness}, 503: {JSON: schemas.Readiness}},
        failures=(400,),
        is_open=True,
    ),
    Operation(
        path="/metrics",
        name="metrics",
        summary="What is counted, for Prometheus",
        contents={200: {TEXT: None}},
        failures=(400,),
        is_open=True,
    ),
    Operation(
        path="/docs/openapi.yaml",
        name="openapi",
        summary="This description",
        contents={200: {YAML: None}},
        failures=(400,),
        is_open=True,
    ),
    Operation(
        path="/docs/explorer.html",
        name="explorer",
        summary="This description as a page",
        contents={200: {HTML: None}},
        is_open=True,
    ),
)
