"""The API's description in OpenAPI 3.1: what ninja knows of its routes, and what `operations` says of the others.

A test compares it with all addresses that there are, and another asks each of them and compares the answers.
"""

import json
from functools import cache
from typing import Any

import yaml
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from pydantic.json_schema import models_json_schema

from runbooks.api import schemas
from runbooks.api.operations import MEANINGS, OPERATIONS, YAML
from runbooks.api.routes import api

TAGS = {"Runbooks": "/api/runbooks", "Runs": "/api/runs", "Server": "/"}


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
    """Put the operation among its like, and say what it does and what each status means.

    What ninja takes from a function's docstring is its summary.
    """
    operation["tags"] = [next(tag for tag, beginning in TAGS.items() if path.startswith(beginning))]
    if sentence := operation.pop("description", ""):
        operation["summary"] = sentence.rstrip(".")
    for status, answer in operation["responses"].items():
        answer["description"] = MEANINGS[int(status)]
