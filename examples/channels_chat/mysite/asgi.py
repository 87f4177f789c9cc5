"""HTTP goes to Django's views, WebSockets to the consumers of the chat."""

import os

from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
django_application = get_asgi_application()  # before anything that imports models

from chat.routing import websocket_urlpatterns  # noqa: E402  # only now

application = ProtocolTypeRouter(
    {"http": django_application, "websocket": AllowedHostsOriginValidator(URLRouter(websocket_urlpatterns))}
)
