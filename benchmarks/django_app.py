"""The smallest Django project that is one: a sync view, served over ASGI. No middleware, no database."""

from __future__ import annotations

from django.conf import settings  # type: ignore[import-untyped]  # Django brings no types
from django.core.asgi import get_asgi_application  # type: ignore[import-untyped]  # Django brings no types
from django.http import HttpRequest, HttpResponse  # type: ignore[import-untyped]  # Django brings no types
from django.urls import path  # type: ignore[import-untyped]  # Django brings no types

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="only for the bench", MIDDLEWARE=[])


def hello(request: HttpRequest) -> HttpResponse:
    """Names its length, as Django's usual middleware would: else the servers would differ in how they frame it."""
    return HttpResponse(b"Hello, world!", content_type="text/plain", headers={"Content-Length": "13"})


urlpatterns = [path("", hello)]
application = get_asgi_application()
