"""Pages and consumers."""

import os

from channels.routing import ChannelNameRouter, ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
pages = get_asgi_application()

import consumers  # noqa: E402  # Django is set up only now

application = ProtocolTypeRouter(
    {
        "http": pages,
        "websocket": consumers.counted(
            URLRouter(
                [
                    path("sync/<slug:desk>/", consumers.SyncDesk.as_asgi()),
                    path("json/<slug:desk>/", consumers.JsonDesk.as_asgi()),
                ]
            )
        ),
        "channel": ChannelNameRouter({"errands": consumers.Errands.as_asgi()}),
    }
)
