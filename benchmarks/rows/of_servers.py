"""The rows that compare servers: requests, echoes, a broadcast, idle sockets, a download."""

from __future__ import annotations

from benchmarks import http_load, websocket_load
from benchmarks.apps import BODY
from benchmarks.figures import Goal, added, own, ratio
from benchmarks.rows.row import RATE, Row, served

CROWD = 1_000
ROWS = (
    Row(
        "hello", "HTTP hello, 64 connections", "request", RATE,
        served("apps:hello", lambda server, size: http_load.hello(server, size.seconds, 64, BODY)),
        (
            Goal("× uvicorn", ratio(RATE, "uvicorn"), 0.45, 0.7),
            Goal("× Daphne", ratio(RATE, "daphne"), 2.5),
        ),
    ),
    Row(
        "latency", "HTTP hello, one connection", "request", "p50 ms",
        served("apps:hello", lambda server, size: http_load.hello(server, size.seconds, 1, BODY)),
        (Goal("ms of p50 over uvicorn", added("p50 ms", "uvicorn"), 0.5, 0.3, lower_is_better=True),),
    ),
    Row(
        "django", "A trivial sync Django view, 16 connections", "request", RATE,
        served("django_app:application", lambda server, size: http_load.hello(server, size.seconds, 16, BODY)),
        (Goal("× uvicorn", ratio(RATE, "uvicorn"), 1.2, 2.0),),
    ),
    Row(
        "echo", "WebSocket echo, 64 sockets, 64 bytes", "round trip", RATE,
        served("apps:echo", lambda server, size: websocket_load.echo(server, size.seconds, 64, 64)),
        (Goal("× Daphne", ratio(RATE, "daphne"), 0.6, 1.0),),
    ),
    Row(
        "crowd", f"Broadcast of 64 bytes to {CROWD:,} WebSockets, again when the last has it", "delivery", RATE,
        served("apps:crowd", lambda server, size: websocket_load.broadcast(server, size.seconds, min(CROWD, size.sockets), 64)),
        (),
    ),
    Row(
        "idle", "Idle WebSockets, no compression", "socket opened", "KiB all",
        served("apps:idle", lambda server, size: websocket_load.idle(server, size.sockets)),
        (
            Goal("KiB in the interface server", own("KiB interface"), 16, 9, lower_is_better=True),
            Goal("KiB in the worker", own("KiB worker"), 12, 6, lower_is_better=True),
        ),
    ),
    Row(
        "download", "A streamed download, 64 KiB chunks, one client", "MiB", "MiB/s",
        served("apps:download", lambda server, size: http_load.download(server, size.mebibytes)),
        (Goal("× uvicorn", ratio("MiB/s", "uvicorn"), 0.08, 0.2),),
    ),
)  # fmt: skip
