"""What programs send, read as one of the schemas: clear about what is wrong, and never lenient about what is meant."""

import json
from typing import NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from runbooks.api.errors import MOST_BYTES, TOO_LARGE, ApiError, cut, misfits

Body = TypeVar("Body", bound=BaseModel)


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
