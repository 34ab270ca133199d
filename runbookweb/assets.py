"""The static files: their addresses change with their content, so browsers keep them for ever; they go compressed."""

import gzip
import hashlib
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path

from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import StaticFilesStorage
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.middleware.gzip import re_accepts_gzip
from django.utils.cache import get_conditional_response, patch_vary_headers
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.responders import StaticFile

# A browser asks for six files at a time: the forty of a run's page would be seven times the way there and back.
BUNDLES = {
    "frame.css": (
        *("tokens.css", "base.css", "layout.css", "icon.css", "button.css", "badge.css"),
        *("notice.css", "panel.css", "form.css", "table.css", "utilities.css"),
    ),
    "run-page.css": (
        *("run.css", "progress.css", "elapsed.css", "sub-runs.css", "ask.css", "note.css", "typed.css"),
        *("log.css", "log-bar.css", "connection.css", "log-search.css", "log-menu.css", "log-colours.css"),
        *("what-ran.css", "script.css", "code.css"),
    ),
    "run-page.js": (
        *("elapsed.js", "once.js", "copy.js", "focus-after.js", "run-state.js"),
        *("log.js", "log-stream.js", "log-follow.js", "log-scroll.js", "log-times.js", "log-view.js"),
        *("log-marks.js", "log-hits.js", "log-search.js", "log-select.js", "log-copy.js", "log-keys.js"),
        *("log-news.js", "connection-said.js", "connection.js", "connection-turns.js"),
        *("notify.js", "tab.js"),
    ),
}
KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
FOREVER, FOR_NOW = "max-age=31536000, public, immutable", "max-age=60, public"
TEXTS = ("text/", "image/svg+xml", "application/javascript", "application/json")
Paths = tuple[str, ...]


class Assets(StaticFilesStorage):
    """Gives each file's address with the version of its content: what an upgrade brings is seen at once."""

    def url(self, name: str | None) -> str:
        address, paths = super().url(name), _paths(name)
        return f"{address}?v={version(paths)}" if paths else address


class AssetsMiddleware(WhiteNoiseMiddleware):
    """Answers with static files, and with bundles of them, compressed once and in memory."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        name = request.path_info.removeprefix(self.static_prefix)
        return _bundle(name, request) if name in BUNDLES else super().__call__(request)

    def serve(self, static_file: StaticFile, request: HttpRequest) -> HttpResponseBase:
        paths = (static_file.get_path_and_headers({})[0],)
        response = _compressed(static_file, paths, request) or super().serve(static_file, request)
        if response.get("Content-Type", "").startswith(TEXTS):
            patch_vary_headers(response, ["Accept-Encoding"])
        if response.status_code in (200, 304):
            response["Cache-Control"] = _lasts(paths, request)
        return response


def version(paths: Paths) -> str:
    """What tells the content of these files from any other."""
    return _hash(paths, _changed(paths))


def _bundle(name: str, request: HttpRequest) -> HttpResponse:
    """The files one after the other; the order is that of the cascade, and of what scripts need of each other."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    paths = _paths(name)
    body = _gzip(paths, _changed(paths)) if _reads_gzip(request) else _text(paths)
    response = HttpResponse(body, content_type=KINDS[Path(name).suffix])
    response["Content-Length"] = str(len(body))
    response["Cache-Control"], response["ETag"] = _lasts(paths, request), f'"{version(paths)}"'
    if _reads_gzip(request):
        response["Content-Encoding"] = "gzip"
    patch_vary_headers(response, ["Accept-Encoding"])
    return get_conditional_response(request, etag=response["ETag"], response=response)


def _compressed(static_file: StaticFile, paths: Paths, request: HttpRequest) -> HttpResponse | None:
    """The whole file as gzip; None if that is not what is asked for."""
    if request.method not in ("GET", "HEAD") or not _reads_gzip(request):
        return None
    plain = static_file.get_response("HEAD", request.META)  # opens no file
    headers = dict(plain.headers)
    if plain.status != HTTPStatus.OK or not headers["Content-Type"].startswith(TEXTS):
        return None
    body = _gzip(paths, _changed(paths))
    headers |= {"Content-Encoding": "gzip", "Content-Length": str(len(body))}
    return HttpResponse(b"" if request.method == "HEAD" else body, headers=headers)


def _reads_gzip(request: HttpRequest) -> bool:
    return bool(re_accepts_gzip.search(request.headers.get("Accept-Encoding", "")))


def _lasts(paths: Paths, request: HttpRequest) -> str:
    # Not by any version: a server that is older than the page must not fill a cache under the new address.
    return FOREVER if request.GET.get("v") == version(paths) else FOR_NOW


@lru_cache(maxsize=1000)
def _paths(name: str | None) -> Paths:
    """The files that this name stands for: one, or those of a bundle, or none."""
    found = (finders.find(file) for file in BUNDLES.get(name, (name,)))
    return tuple(path for path in found if path)


def _changed(paths: Paths) -> Paths:
    return tuple(str(Path(path).stat().st_mtime_ns) for path in paths)


def _text(paths: Paths) -> bytes:
    return b"\n".join(Path(path).read_bytes() for path in paths)


@lru_cache(maxsize=1000)
def _hash(paths: Paths, changed: Paths) -> str:
    return hashlib.sha256(_text(paths)).hexdigest()[:12]


@lru_cache(maxsize=200)
def _gzip(paths: Paths, changed: Paths) -> bytes:
    return gzip.compress(_text(paths), mtime=0)
