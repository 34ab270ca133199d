"""The ASGI application: streams are Channels consumers, everything else is Django."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "runbookweb.settings")
pages = get_asgi_application()  # before consumers are imported: they use models

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import WebsocketDenier  # noqa: E402
from django.urls import re_path  # noqa: E402

from runbooks.api import consumers as api  # noqa: E402
from runbooks.web import consumers as web  # noqa: E402
from runbookweb import drain  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": URLRouter([*web.urlpatterns, *api.urlpatterns, re_path(r"", drain.waited_for(pages))]),
        # Without the denier, a request for a WebSocket at any other address would end in an error of ours.
        "websocket": URLRouter([*api.sockets, re_path(r"", WebsocketDenier.as_asgi())]),
    }
)
