"""Settings of a small site with Channels; the channel layer comes by environment, as JSON."""

import json
import os

SECRET_KEY = "a key for tests"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "urls"
ASGI_APPLICATION = "asgi.application"
INSTALLED_APPS = ["daphne", "channels", "office"]  # daphne: for `runserver`
USE_TZ = True
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": os.environ.get("SITE_BACKEND", "channel_layer.channels.RedisChannelLayer"),
        "CONFIG": json.loads(os.environ.get("SITE_CONFIG", "{}")),
    }
}
