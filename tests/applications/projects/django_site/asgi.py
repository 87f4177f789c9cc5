"""What a server is given: Django's own handler, with static files in front as `runserver` has them."""

import os

from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")

application = ASGIStaticFilesHandler(get_asgi_application())
