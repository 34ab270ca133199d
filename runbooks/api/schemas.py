"""What programs send and get, as types: bodies are checked with them, and the API's description is made from them."""

import json
from typing import Annotated, Any, Literal, NoReturn, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError

from runbooks.api.errors import MOST_BYTES, TOO_LARGE, ApiError, cut, misfits
from runbooks.models import State

NO_NUL = r"^[^\x00]*$"  # a database may not take one
REF = "#/components/schemas/{model}"
Body = TypeVar("Body", bound=BaseModel)


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


class SignIn(_Sent):
    """Who one says to be."""

    subject: str = Field(min_length=1, max_length=255)
    roles: list[str] | str | None = Field(default=None, description="a list, or words with commas between them")


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


class RunWithOutput(Run):
    """A run with what it has printed, as far as it was asked for."""

    stdout: str
    stderr: str
    offset: int = Field(description="where the output ends: send it as `after` to get what comes next")


class Event(_Answered):
    """One Server-Sent Event; comments come between them, so that no silence is long."""

    event: Literal["stdout", "stderr", "done"]
    id: str = Field(description="where the output ends that has been sent; to go on there, send it as Last-Event-ID")
    data: str = Field(description="output; of done the run, as JSON")


class Line(_Answered):
    """One line of NDJSON, or message of the socket; of a ping there is nothing else."""

    event: Literal["stdout", "stderr", "done", "ping"]
    id: int = Field(default=0, description="where the output ends that has been sent; to go on there, send it as after")
    data: str | RunWithOutput | Run = Field(default="", description="output; of done the run")


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


def read_body(content_type: str, body: bytes, schema: type[Body]) -> Body:
    """What was sent, as this schema; none at all is an empty object. Raises ApiError 400, 413 or 415."""
    if len(body) > MOST_BYTES:
        raise ApiError(413, TOO_LARGE)
    if not body.strip():
        return _checked({}, schema)
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise ApiError(415, "Send the body as JSON, with Content-Type: application/json.")
    return _checked(_parsed(body), schema)


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body.decode("utf-8-sig"), object_pairs_hook=_object, parse_constant=_refuse_constant)
    except UnicodeDecodeError as problem:
        raise ApiError(400, f"The body is not UTF-8: see its byte {problem.start}.") from None
    except json.JSONDecodeError as problem:
        where = f"line {problem.lineno}, column {problem.colno}"
        raise ApiError(400, f"The body is not JSON: {problem.msg} at {where}.") from None
    except RecursionError:
        raise ApiError(400, "The body is nested too deeply.") from None
    except ValueError:
        raise ApiError(400, "The body has a number with too many digits; send it as a string.") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """The object, if each name is there once and all is text: which of two values a client means is not for us."""
    values: dict[str, object] = {}
    for name, value in pairs:
        if not (_is_text(name) and (not isinstance(value, str) or _is_text(value))):
            raise ApiError(400, f"{cut(name)}: there is half of a surrogate pair in it, which is no character.")
        if name in values:
            raise ApiError(400, f"{cut(name)}: the body has this name twice in one object.")
        values[name] = value
    return values


def _refuse_constant(constant: str) -> NoReturn:
    raise ApiError(400, f"{constant} is not JSON.")


def _is_text(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _checked(value: object, schema: type[Body]) -> Body:
    if not isinstance(value, dict):
        raise ApiError(400, 'The body must be an object, such as {"env_vars": {}}.')
    try:
        return schema.model_validate(value)
    except ValidationError as problem:
        raise misfits(problem.errors(include_url=False), of="The body") from None


def as_request_body(schema: type[BaseModel]) -> dict[str, Any]:
    """The description of a body that `read_body` reads."""
    content = {"application/json": {"schema": schema.model_json_schema(ref_template=REF)}}
    return {"requestBody": {"required": False, "content": content}}
