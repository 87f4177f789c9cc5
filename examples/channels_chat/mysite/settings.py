"""A Django project with Channels; the channel layer is Towpath's."""

import os

SECRET_KEY = "only for this example"  # a real project takes it from its environment
DEBUG = True
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "mysite.urls"
ASGI_APPLICATION = "mysite.asgi.application"
INSTALLED_APPS = ["daphne", "channels", "chat"]  # daphne: for `manage.py runserver`, as the tutorial has it
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
USE_TZ = True

# Without `hosts`: the layer of the worker under `towpath serve`, TOWPATH_REDIS elsewhere, else Redis on this machine.
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channel_layer.channels.RedisChannelLayer",
        "CONFIG": {"hosts": [os.environ["REDIS_URL"]]} if "REDIS_URL" in os.environ else {},
    },
}
