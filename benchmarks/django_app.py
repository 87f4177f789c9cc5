"""The smallest Django project that is one: a sync view with a query, and an async view, served over ASGI. No middleware."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from django.conf import settings  # type: ignore[import-untyped]  # Django brings no types
from django.core.asgi import get_asgi_application  # type: ignore[import-untyped]  # Django brings no types
from django.db import connection  # type: ignore[import-untyped]  # Django brings no types
from django.http import HttpRequest, HttpResponse  # type: ignore[import-untyped]  # Django brings no types
from django.urls import path  # type: ignore[import-untyped]  # Django brings no types

DATABASE = Path(os.environ["BENCH_FOLDER"]) / "database.sqlite3"
settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="only for the bench",
    MIDDLEWARE=[],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(DATABASE)}},
)


def make_database() -> None:
    """One row. Several processes may do that at once."""
    database = sqlite3.connect(DATABASE)
    with database:
        database.execute("CREATE TABLE IF NOT EXISTS greeting (id INTEGER PRIMARY KEY, text TEXT)")
        database.execute("INSERT OR IGNORE INTO greeting VALUES (1, 'Hello, world!')")
    database.close()


def answer(text: str) -> HttpResponse:
    """Names its length, as Django's usual middleware would: else the servers would differ in how they frame it."""
    return HttpResponse(text, content_type="text/plain", headers={"Content-Length": str(len(text))})


def with_query(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute("SELECT text FROM greeting WHERE id = %s", [1])
        return answer(cursor.fetchone()[0])


async def hello(request: HttpRequest) -> HttpResponse:
    return answer("Hello, world!")


make_database()
urlpatterns = [path("", with_query), path("async", hello)]
application = get_asgi_application()
