"""The ASGI application: streams are Channels consumers, everything else is Django."""

import os
from io import IOBase
from typing import Any

import django
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.http import HttpResponse

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "runbookweb.settings")
django.setup(set_prefix=False)  # before consumers are imported: they use models

from channels.routing import URLRouter  # noqa: E402
from channels.security.websocket import WebsocketDenier  # noqa: E402
from django.urls import re_path  # noqa: E402

from runbooks.api import consumers as api  # noqa: E402
from runbooks.api.errors import ApiError  # noqa: E402
from runbooks.api.gate import failed  # noqa: E402
from runbooks.web import consumers as web  # noqa: E402
from runbookweb import drain  # noqa: E402
from runbookweb.client import ClientRouter  # noqa: E402


class Pages(ASGIHandler):
    """Django, but for a Content-Type that it fails at: it reads that before there is a request to answer."""

    def create_request(
        self, scope: dict[str, Any], body_file: IOBase
    ) -> tuple[ASGIRequest | None, HttpResponse | None]:
        try:
            return super().create_request(scope, body_file)
        except ValueError:
            return None, failed(ApiError(400, "Content-Type: it cannot be read; send application/json."))


application = ClientRouter(
    {
        "http": URLRouter([*web.urlpatterns, *api.urlpatterns, re_path(r"", drain.waited_for(Pages()))]),
        # Without the denier, a request for a WebSocket at any other address would end in an error of ours.
        "websocket": URLRouter([*api.sockets, re_path(r"", WebsocketDenier.as_asgi())]),
    }
)
