"""The description names every address of programs, with the shapes that the code has."""

import re

import pytest
import yaml
from django.urls import URLPattern, URLResolver, get_resolver

from runbooks.api import consumers, schemas
from runbooks.api.as_json import run_json
from runbooks.api.description import document
from runbooks.models import Run
from runbookweb.programs import is_for_programs
from tests.conftest import client_of

pytestmark = pytest.mark.django_db


def addresses(patterns: list[URLPattern | URLResolver]) -> set[str]:
    """Each address with its variable parts as {}; of ninja's application those that are in it."""
    inner = [pattern for pattern in patterns if isinstance(pattern, URLResolver) and pattern.namespace == "api"]
    plain = [pattern for pattern in patterns if isinstance(pattern, URLPattern)]
    plain += [address for resolver in inner for address in resolver.url_patterns if address.name != "api-root"]
    return {"/" + re.sub("<[^>]*>", "{}", str(pattern.pattern)) for pattern in plain}


def test_every_address_of_programs_is_described():
    there = addresses([*get_resolver().url_patterns, *consumers.urlpatterns, *consumers.sockets])
    described = {re.sub("{[^}]*}", "{}", path) for path in document()["paths"]}
    assert described - {"/docs/explorer.html"} == {address for address in there if is_for_programs(address)}


def test_each_operation_has_a_name_of_its_own_and_says_what_goes_wrong():
    operations = [operation for path in document()["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        if operation["security"]:
            assert {"401", "503"} <= set(operation["responses"]) or "101" in operation["responses"]


def test_what_needs_a_token_says_so():
    scheme = document()["components"]["securitySchemes"]["Bearer"]
    assert scheme == {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    paths = document()["paths"].items()
    is_open = {path for path, methods in paths for operation in methods.values() if not operation["security"]}
    assert is_open == {"/dev-login", "/healthz", "/readyz", "/metrics", "/docs/openapi.yaml", "/docs/explorer.html"}


def test_each_reference_leads_somewhere():
    named = set(re.findall(r"'#/components/schemas/(\w+)'", str(document())))
    assert named - set(document()["components"]["schemas"]) == set()
    assert {"RunWithOutput", "ExecuteBody", "Failure"} <= named


def test_a_run_is_described_as_it_is_answered():
    run = Run.objects.create(runbook="a.md", actor="alice", timeout=1)
    assert schemas.Run.model_validate(run_json(run)).model_dump() == run_json(run)


def test_the_description_is_served_to_everybody_as_yaml(client):
    answer = client.get("/docs/openapi.yaml")
    assert answer.headers["Content-Type"] == "application/yaml; charset=utf-8"
    assert yaml.safe_load(answer.content) == document()


def test_the_explorer_is_a_page_of_ours_with_local_files_alone(client):
    page = client.get("/docs/explorer.html").content.decode()
    assert 'data-description="/docs/openapi.yaml"' in page
    assert re.findall(r'(?:src|href)="(?!/)[^"#]*"', page) == []
    assert "<script>" not in page


def test_the_explorer_knows_who_is_signed_in(library):
    assert ">Sign out</button>" in client_of("alice").get("/docs/explorer.html").content.decode()


@pytest.mark.parametrize("file", ["swagger-ui-bundle.js", "swagger-ui.css"])
def test_the_explorers_files_are_served_here(client, file):
    answer = client.get(f"/static/ninja/{file}")
    answer.close()
    assert answer.status_code == 200
