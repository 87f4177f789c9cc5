"""The rows that compare servers under applications of frameworks: FastAPI, Starlette, Django."""

from __future__ import annotations

from benchmarks import http_load
from benchmarks.apps import BODY
from benchmarks.figures import Goal, best_ratio, ratio
from benchmarks.framework_apps import ORDER, PAGE, RECEIPT
from benchmarks.rows.row import RATE, Load, Row, served

CONTESTANTS = ("towpath", "uvicorn")


def asked(question: bytes, connections: int, body: bytes) -> Load:
    """So many clients that each send `question` again and again."""
    return lambda server, size: http_load.asked(server, size.seconds, connections, question, body)


ROWS = (
    Row(
        "fastapi", "FastAPI, JSON in and out, 32 connections; `-2`: two workers", "request", RATE,
        served("framework_apps:fastapi", asked(http_load.post(ORDER), 32, RECEIPT)),
        (
            Goal("× uvicorn", ratio(RATE, "uvicorn"), 1.25, 1.4),
            Goal("× uvicorn, two workers", best_ratio(RATE, ["uvicorn-2"], "towpath-2"), 0.8, 0.95),
        ),
        (*CONTESTANTS, "towpath-2", "uvicorn-2"),
    ),
    Row(
        "starlette", "Starlette, a response of 10 KiB, 32 connections", "request", RATE,
        served("framework_apps:starlette", asked(http_load.get("/"), 32, PAGE)),
        (Goal("× uvicorn", ratio(RATE, "uvicorn"), 0.8, 1.0),),
        CONTESTANTS,
    ),
    Row(
        "django", "A sync Django view with a SQLite query, 16 connections", "request", RATE,
        served("django_app:application", asked(http_load.get("/"), 16, BODY)),
        (Goal("× uvicorn", ratio(RATE, "uvicorn"), 2.1, 2.5),),
        (*CONTESTANTS, "daphne"),
    ),
    Row(
        "django-async", "An async Django view, 32 connections", "request", RATE,
        served("django_app:application", asked(http_load.get("/async"), 32, BODY)),
        (Goal("× uvicorn", ratio(RATE, "uvicorn"), 2.5, 3.0),),
        CONTESTANTS,
    ),
)  # fmt: skip
