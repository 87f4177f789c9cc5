"""The rows that compare servers under applications of frameworks: FastAPI, Starlette, Django."""

from __future__ import annotations

from benchmarks import http_load
from benchmarks.apps import BODY
from benchmarks.figures import Figure, Goal, ratio
from benchmarks.framework_apps import ORDER, PAGE, RECEIPT
from benchmarks.rows.row import RATE, Load, Row, both, served
from benchmarks.servers import COMPILED, COMPILED_2

CONTESTANTS = ("towpath", COMPILED, "uvicorn")


def times_uvicorn(contestant: str) -> Figure:
    return ratio(RATE, "uvicorn", contestant)


def asked(question: bytes, connections: int, body: bytes) -> Load:
    """So many clients that each send `question` again and again."""
    return lambda server, size: http_load.asked(server, size.seconds, connections, question, body)


ROWS = (
    Row(
        "fastapi", "FastAPI, JSON in and out, 32 connections; `-2`: two workers", "request", RATE,
        served("framework_apps:fastapi", asked(http_load.post(ORDER), 32, RECEIPT)),
        (
            *both("× uvicorn", 1.25, 1.4, times_uvicorn),
            Goal("× uvicorn, two workers", ratio(RATE, "uvicorn-2", "towpath-2"), 0.8, 0.95),
            Goal(f"× uvicorn, two workers, {COMPILED}", ratio(RATE, "uvicorn-2", COMPILED_2), 0.8, 0.95),
        ),
        (*CONTESTANTS, "towpath-2", COMPILED_2, "uvicorn-2"),
    ),
    Row(
        "starlette", "Starlette, a response of 10 KiB, 32 connections", "request", RATE,
        served("framework_apps:starlette", asked(http_load.get("/"), 32, PAGE)),
        both("× uvicorn", 0.8, 1.0, times_uvicorn),
        CONTESTANTS,
    ),
    Row(
        "django", "A sync Django view with a SQLite query, 16 connections", "request", RATE,
        served("django_app:application", asked(http_load.get("/"), 16, BODY)),
        both("× uvicorn", 2.1, 2.5, times_uvicorn),
        (*CONTESTANTS, "daphne"),
    ),
    Row(
        "django-async", "An async Django view, 32 connections", "request", RATE,
        served("django_app:application", asked(http_load.get("/async"), 32, BODY)),
        both("× uvicorn", 2.5, 3.0, times_uvicorn),
        CONTESTANTS,
    ),
)  # fmt: skip
