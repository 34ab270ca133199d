"""Static files and pages on their way: kept by browsers as long as they are right, and compressed."""

import gzip
import re
from pathlib import Path

import pytest
from django.contrib.staticfiles.storage import staticfiles_storage
from django.test import Client

from runbookweb import assets
from tests.processes import ROOT

pytestmark = pytest.mark.django_db
GZIP = {"Accept-Encoding": "gzip, deflate, br"}
TOKENS = ROOT / "static/tokens.css"
BUNDLES = [
    ("frame.css", "text/css", b"/* Every colour"),
    ("run-page.css", "text/css", b"/* The head of a run's page"),
    ("run-page.js", "text/javascript", b"// Keeps counting where the server began"),
]


def test_an_address_has_the_version_of_its_content():
    assert re.fullmatch(r"/static/tokens\.css\?v=[0-9a-f]{12}", staticfiles_storage.url("tokens.css"))


def test_another_content_is_another_version(tmp_path):
    file = tmp_path / "a.css"
    versions = set()
    for content in ("a {}", "b {}"):
        file.write_text(content)
        versions.add(assets.version((str(file),)))
    assert len(versions) == 2


def test_what_is_asked_for_by_its_version_is_kept_for_ever(client):
    answer = client.get(staticfiles_storage.url("tokens.css"))
    assert "immutable" in answer.headers["Cache-Control"]
    assert b"".join(answer) == TOKENS.read_bytes()


@pytest.mark.parametrize("query", ["", "?v=", "?v=0123456789ab"])
def test_what_is_asked_for_by_no_version_of_ours_is_not(client, query):
    assert client.head(f"/static/tokens.css{query}").headers["Cache-Control"] == "max-age=60, public"


@pytest.mark.parametrize("name", ["tokens.css", "zone.js", "favicon.svg", "django_htmx/htmx-4.min.js"])
def test_texts_are_compressed_for_who_can_read_that(client, name):
    plain = b"".join(client.get(f"/static/{name}"))
    answer = client.get(f"/static/{name}", headers=GZIP)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert int(answer.headers["Content-Length"]) == len(answer.content) < len(plain)
    assert gzip.decompress(answer.content) == plain


@pytest.mark.parametrize(("name", "kind", "first"), BUNDLES)
def test_a_bundle_is_its_files_in_their_order(client, name, kind, first):
    parts = [(ROOT / "static" / part).read_bytes() for part in assets.BUNDLES[name]]
    address = staticfiles_storage.url(name)
    plain, packed = client.get(address), client.get(address, headers=GZIP)
    assert plain.content == gzip.decompress(packed.content) == b"\n".join(parts)
    assert parts[0].lstrip().startswith(first)
    assert "immutable" in plain.headers["Cache-Control"]
    assert plain.headers["Content-Type"] == f"{kind}; charset=utf-8"


def test_a_bundle_is_not_sent_again_and_takes_no_form(client):
    tag = client.get("/static/frame.css").headers["ETag"]
    again = client.get("/static/frame.css", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert client.head("/static/frame.css").content == b""
    assert client.post("/static/frame.css").status_code == 405


def test_a_head_tells_what_a_get_would(client):
    asked, told = (ask("/static/tokens.css", headers=GZIP) for ask in (client.get, client.head))
    assert told.content == b""
    assert told.headers["Content-Length"] == asked.headers["Content-Length"]
    assert told.headers["ETag"] == asked.headers["ETag"]


def test_what_a_browser_has_already_is_not_sent_again(client):
    tag = client.get("/static/tokens.css", headers=GZIP).headers["ETag"]
    answer = client.get("/static/tokens.css", headers=GZIP | {"If-None-Match": tag})
    assert (answer.status_code, b"".join(answer)) == (304, b"")


def test_a_range_is_of_the_file_as_it_is(client):
    answer = client.get("/static/tokens.css", headers=GZIP | {"Range": "bytes=10-19"})
    assert answer.status_code == 206
    assert "Content-Encoding" not in answer.headers
    assert b"".join(answer) == TOKENS.read_bytes()[10:20]


def test_a_file_that_is_not_there_is_missing(client):
    assert client.get("/static/nothing.css").status_code == 404
    assert staticfiles_storage.url("nothing.css") == "/static/nothing.css"


def test_pages_are_compressed_and_the_api_is_not(alice_client, library, a_runbook):
    for number in range(10):
        library.add(f"long-{number}.md", a_runbook(name=f"long-{number}"))
    page = alice_client.get("/runbooks/", headers=GZIP)
    assert page.headers["Content-Encoding"] == "gzip"
    assert b"long-9" in gzip.decompress(page.content)
    api = alice_client.get("/api/runbooks", headers=GZIP)
    assert "Content-Encoding" not in api.headers
    assert len(api.json()["runbooks"]) == 10


def test_each_static_file_that_a_template_names_is_there():
    named = re.compile(r"{% static '([^'{]+)' %}")
    for template in Path(ROOT / "templates").rglob("*.html"):
        for name in named.findall(template.read_text()):
            assert "?v=" in staticfiles_storage.url(name), f"{template} names {name}"


def test_a_stranger_gets_static_files():
    assert Client().head("/static/tokens.css").status_code == 200
