"""The ASGI application: streams are Channels consumers, everything else is Django."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "runbookweb.settings")
pages = get_asgi_application()  # before consumers are imported: they use models

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import WebsocketDenier  # noqa: E402
from django.urls import re_path  # noqa: E402

from runbooks.web import consumers  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": URLRouter([*consumers.urlpatterns, re_path(r"", pages)]),
        # Without an entry, any client's request for a WebSocket would end in an error of ours.
        "websocket": WebsocketDenier.as_asgi(),
    }
)
