"""What programs send and get, as types: bodies are read as them, and the API's description is made from them."""

import contextlib
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from django.core.exceptions import ValidationError
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from runbooks.access import development
from runbooks.execution import control
from runbooks.models import State

NO_NUL = r"^[^\x00]*$"  # a database may not take one
REF = "#/components/schemas/{model}"


def _text(value: object) -> str:
    """A variable's value as a script gets it: clients may send numbers and booleans as such."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float) and value not in (float("inf"), float("-inf")):
        return str(value)
    raise PydanticCustomError("value", "the value must be a string, a number, true or false.")


_VALUE = {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]}
Value = Annotated[str, BeforeValidator(_text), WithJsonSchema(_VALUE)]


def _printable(subject: str) -> str:
    with _as_pydantic_has_it():
        development.refuse_control_characters(subject)
    return subject


def _roles(value: object) -> tuple[str, ...]:
    words = value.split(",") if isinstance(value, str) else [] if value is None else value
    if not isinstance(words, list) or not all(isinstance(word, str) and "," not in word for word in words):
        raise PydanticCustomError("roles", "it must be a list of strings without commas.")
    with _as_pydantic_has_it():
        return development.roles_of(words)


@contextlib.contextmanager
def _as_pydantic_has_it() -> Iterator[None]:
    """Let a refusal of Django's kind count as one of pydantic's, which knows where in the body it happened."""
    try:
        yield
    except ValidationError as problem:
        raise PydanticCustomError("unusable", "{sentence}", {"sentence": problem.message}) from None


_ROLES = {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}, {"type": "null"}]}
Subject = Annotated[str, AfterValidator(_printable)]
Roles = Annotated[tuple[str, ...], BeforeValidator(_roles), WithJsonSchema(_ROLES)]


class _Sent(BaseModel):
    """What a client sends; a field that is not known is passed over, as it may be another version's."""

    model_config = ConfigDict(strict=True)


class _Answered(BaseModel):
    """What a client gets; a field that is not described here fails a test, not the client."""

    model_config = ConfigDict(extra="forbid")


class ValidateBody(_Sent):
    """Values to check against what a runbook asks for."""

    env_vars: dict[str, Value] = Field(
        default_factory=dict, description="the runbook's variables by name", examples=[{"NAME": "world"}]
    )


class ExecuteBody(ValidateBody):
    """Values to run a runbook with."""

    confirm: bool = Field(default=False, description="needed by runbooks that want to be confirmed")
    reason: str = Field(default="", max_length=control.LONGEST_REASON, description="why, kept with the run")


class PinBody(_Sent):
    """Whether a run is to be kept, however old it gets."""

    pinned: bool = True


class SignIn(_Sent):
    """Who one says to be."""

    model_config = ConfigDict(str_strip_whitespace=True)
    subject: Subject = Field(min_length=1, max_length=development.LONGEST_SUBJECT)
    roles: Roles = Field(default=(), description="a list, or words with commas between them")


class SignedIn(_Answered):
    """A token, to be sent as `Authorization: Bearer <access_token>`."""

    access_token: str
    token_type: Literal["bearer"]
    expires_at: str
    subject: str
    roles: list[str]


class Failure(BaseModel):
    """Why something could not be done."""

    model_config = ConfigDict(extra="allow")
    success: Literal[False]
    error: str = Field(description="a sentence for people")
    errors: list[str] = Field(default=[], description="one for each thing that is wrong, where there may be several")
    warnings: list[str] = []
    runbook: str = ""


class Listed(_Answered):
    filename: str = Field(description="the path below RUNBOOKS_DIR, for addresses")
    name: str
    path: str


class RunbookList(_Answered):
    success: Literal[True]
    runbooks: list[Listed]


class RunbookContent(_Answered):
    success: Literal[True]
    filename: str
    name: str
    content: str = Field(description="the file; its History is left out for those who may not see the runbook's runs")


class Needed(_Answered):
    name: str
    description: str


class RequiredEnv(_Answered):
    success: Literal[True]
    filename: str
    required: list[Needed] = Field(description="each variable without which the runbook does not run")
    available: list[Needed] = Field(description="those of them that the server provides, or that have a default")
    missing: list[Needed] = Field(description="those of them that have to be sent")


class Validated(_Answered):
    success: Literal[True]
    runbook: str
    errors: list[str]
    warnings: list[str]


class Run(_Answered):
    """A run without its output."""

    success: bool = Field(description="whether its script has ended well")
    run_id: int
    runbook: str
    status: Literal[tuple(State.values)]
    return_code: int | None = Field(description="null until the script has ended")
    errors: list[str]
    warnings: list[str]
    viewer_link: str
    actor: str
    queued_at: str
    started_at: str | None
    ended_at: str | None
    cancelled_by: str | None
    parent: int | None = Field(description="the run whose script asked for this one")
    is_pinned: bool = Field(description="whether it is kept, however old it gets")
    waiting_for: str | None = Field(description="of a queued run, a sentence on why it has not begun")


class RunWithOutput(Run):
    """A run with what it has printed, as far as it was asked for."""

    stdout: str
    stderr: str
    offset: int = Field(description="where the output ends: send it as `after` to get what comes next")


class Event(_Answered):
    """One Server-Sent Event; comments come between them, so that no silence is long."""

    event: Literal["stdout", "stderr", "done", "error"]
    id: str = Field(
        default="", description="where the output ends that has been sent; to go on there, send it as Last-Event-ID"
    )
    data: str = Field(description="output; of done the run, of error why there is no more, both as JSON")


class Line(_Answered):
    """One line of NDJSON, or message of the socket; of a ping there is nothing else."""

    event: Literal["stdout", "stderr", "done", "error", "ping"]
    id: int = Field(default=0, description="where the output ends that has been sent; to go on there, send it as after")
    data: str | RunWithOutput | Run | Failure = Field(
        default="", description="output; of done the run, of error why there is no more"
    )


class RunList(_Answered):
    success: Literal[True]
    runs: list[Run]
    next: int | None = Field(description="send it as `before` to get the next page; null on the last one")


class ConfigItem(_Answered):
    name: str
    value: str
    source: str = Field(alias="from")


class TokenSays(_Answered):
    user_id: str
    roles: list[str]
    remote_ip: str
    claims: dict[str, list[str]]


class Config(_Answered):
    config_items: list[ConfigItem]
    token: TokenSays


class Readiness(_Answered):
    """Whether this server could take a run, and what is missing."""

    success: bool
    checks: dict[str, str]


class Shutdown(_Answered):
    success: Literal[True]
    message: str


def as_request_body(schema: type[BaseModel]) -> dict[str, Any]:
    """The description of a body that `bodies.read_body` reads."""
    content = {"application/json": {"schema": schema.model_json_schema(ref_template=REF)}}
    return {"requestBody": {"required": False, "content": content}}
