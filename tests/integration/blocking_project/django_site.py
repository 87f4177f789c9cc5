"""A Django project in one file: settings, a view, and the WSGI application."""

import os

from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

SECRET_KEY = "a key for tests"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "django_site"
INSTALLED_APPS = ["boats"]


def view(request: WSGIRequest) -> HttpResponse:
    """Notify the client that the form names."""
    from notifying import notify

    notify(request.POST["channel"], request.POST["text"])
    return HttpResponse("done")


urlpatterns = [path("notify", view)]


def application() -> WSGIHandler:
    """Make the application."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_site")
    return get_wsgi_application()
